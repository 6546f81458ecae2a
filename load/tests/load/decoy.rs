//! Targets that misbehave, and places that nobody may contact.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The names of the templates, as the first request of a run wants them.
pub const TEMPLATES: &str = r#"{"results":["Card","Open"]}"#;

/// An HTTP server that answers as it is told, for as long as the tests run.
pub struct Decoy {
    pub address: SocketAddr,
    contacts: Arc<AtomicUsize>,
}

/// Status, further header lines, body.
pub type Said = (u16, String, String);

impl Decoy {
    /// A server that answers method and path.
    pub fn new(answer: impl Fn(&str, &str) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let contacts = Arc::new(AtomicUsize::new(0));
        let (counted, answer) = (Arc::clone(&contacts), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                thread::spawn(move || serve(stream, &*answer));
            }
        });
        Self { address, contacts }
    }

    /// How many connections there were.
    pub fn contacts(&self) -> usize {
        self.contacts.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&str, &str) -> Said) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|count| *count > 0)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        let (status, headers, body) = answer(&method, &path);
        let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        write!(writer, "HTTP/1.1 {status} x\r\n{length}{headers}\r\n{body}").ok()?;
    }
}
