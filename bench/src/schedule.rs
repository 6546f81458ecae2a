//! Requests on schedule: each has an instant at which it is due, fixed before the first is sent, and its time is counted from then.
//!
//! A service that stands still for a second so gets the requests of that second all the same, and each of them counts how long it had to
//! wait, also for a connection (no coordinated omission). Each connection has a thread of its own that sleeps, sends and receives:
//! nothing in between has timers of a millisecond. The well-kept generators that do this send every request with the same headers;
//! here each user asks with a token of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::prctl::set_timerslack;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long requests took, in microseconds, shortest first.
#[derive(Debug)]
pub struct Times(Vec<u32>);

impl Times {
    /// The time that so many percent of all requests did not exceed, in milliseconds.
    #[must_use]
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
        // Nine tenths of a thousand may come out a little above 900.
        let rank = (percent / 100.0 * lossy(self.0.len()) - 1e-6).ceil();
        let at = (0..last).find(|at| lossy(at + 1) >= rank).unwrap_or(last);
        f64::from(self.0[at]) / 1e3
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn lossy(count: usize) -> f64 {
    count as f64
}

/// Sends requests, over and over in their order, so many a second.
///
/// # Errors
/// When a connection breaks or an answer is 400 or above: times of errors say nothing.
pub fn play(address: &str, requests: &[Vec<u8>], connections: u32, rate: f64, seconds: u32) -> anyhow::Result<Times> {
    ensure!(!requests.is_empty(), "there are no requests");
    let count = total(rate, seconds);
    let next = AtomicU64::new(0);
    let ready = Barrier::new(usize::try_from(connections)? + 1);
    let (sockets, begun) = (open(address, connections)?, std::sync::OnceLock::new());
    let parts: Vec<anyhow::Result<Vec<u32>>> = thread::scope(|scope| {
        let threads: Vec<_> = sockets
            .into_iter()
            .map(|socket| {
                scope.spawn(|| {
                    // A sleep ends when it is due, and not up to 50 microseconds later.
                    let slack = set_timerslack(1);
                    ready.wait();
                    slack.context("the kernel does not sleep to the point")?;
                    share(socket, requests, &next, count, *begun.wait(), rate)
                })
            })
            .collect();
        ready.wait();
        begun.set(Instant::now() + Duration::from_millis(10)).expect("it is set once");
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    let mut times = Vec::new();
    for part in parts {
        times.extend(part?);
    }
    times.sort_unstable();
    Ok(Times(times))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "requests of some seconds")]
fn total(rate: f64, seconds: u32) -> u64 {
    (rate * f64::from(seconds)).max(1.0) as u64
}

fn open(address: &str, connections: u32) -> anyhow::Result<Vec<TcpStream>> {
    let connect = |_| {
        let socket = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    };
    (0..connections).map(connect).collect()
}

/// What one connection does: the next request that nobody has taken, when it is due.
#[expect(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a thread that has nothing else to do sleeps to the point"
)]
fn share(
    socket: TcpStream,
    requests: &[Vec<u8>],
    next: &AtomicU64,
    count: u64,
    begun: Instant,
    rate: f64,
) -> anyhow::Result<Vec<u32>> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut writer = socket;
    let mut times = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(times);
        }
        let due = begun + Duration::from_secs_f64(number as f64 / rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let request = &requests[usize::try_from(number)? % requests.len()];
        writer.write_all(request).context("a connection broke")?;
        answer(&mut reader)?;
        times.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}

/// Reads one answer to its end.
fn answer(reader: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
    let (mut status, mut length, mut line) = (None, 0_u64, String::new());
    loop {
        line.clear();
        let read = reader.read_line(&mut line).context("an answer broke off")?;
        ensure!(read > 0, "a connection was closed instead of an answer");
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        match text.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse()?,
            Some((name, _)) if name.eq_ignore_ascii_case("transfer-encoding") => bail!("an answer comes in pieces"),
            Some(_) => {}
            None => status = text.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok()),
        }
    }
    let body = std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).context("an answer broke off")?;
    ensure!(body == length, "an answer broke off");
    match status {
        Some(code) if code < 400 => Ok(()),
        Some(code) => bail!("a request was answered with {code}"),
        None => bail!("an answer has no status"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that gives one answer to every request line that ends with an empty line, and returns how many it gave.
    fn server(reply: &'static str) -> (String, thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serve = move || {
            let (socket, _) = listener.accept().unwrap();
            let (mut reader, mut writer) = (BufReader::new(socket.try_clone().unwrap()), socket);
            let (mut answers, mut line) = (0, String::new());
            while reader.read_line(&mut line).unwrap_or(0) > 0 {
                if line == "\r\n" {
                    if writer.write_all(reply.as_bytes()).is_err() {
                        break;
                    }
                    answers += 1;
                }
                line.clear();
            }
            answers
        };
        (address, thread::spawn(serve))
    }

    #[test]
    fn as_many_requests_are_sent_as_are_due() {
        let (address, server) = server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        let requests = [b"GET / HTTP/1.1\r\n\r\n".to_vec(), b"GET /2 HTTP/1.1\r\n\r\n".to_vec()];
        let times = play(&address, &requests, 1, 50.0, 1).unwrap();
        assert_eq!((times.0.len(), server.join().unwrap()), (50, 50));
        assert!(times.0.is_sorted());
    }

    #[test]
    fn errors_have_no_times() {
        for (reply, said) in [
            ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "a request was answered with 503"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "an answer comes in pieces"),
            ("nonsense\r\n\r\n", "an answer has no status"),
        ] {
            let (address, server) = server(reply);
            let failure = play(&address, &[b"GET / HTTP/1.1\r\n\r\n".to_vec()], 1, 100.0, 1).unwrap_err();
            assert_eq!(failure.to_string(), said);
            server.join().unwrap();
        }
    }

    #[test]
    fn a_percentile_is_the_time_that_so_many_did_not_exceed() {
        let times = Times((1..=1000).collect());
        for (percent, ms) in [(50.0, 0.5), (90.0, 0.9), (99.0, 0.99), (99.9, 0.999), (100.0, 1.0)] {
            assert!((times.percentile_ms(percent) - ms).abs() < 1e-9, "{percent}");
        }
        assert!((Times(vec![7000]).percentile_ms(50.0) - 7.0).abs() < 1e-9);
        assert!(Times(Vec::new()).percentile_ms(50.0).is_nan());
    }
}
