//! Requests on schedule: each has an instant at which it is due, fixed before the first is sent, and its time is counted from then.
//!
//! A service that stands still for a second so gets the requests of that second all the same, and each of them counts how long it had to
//! wait, also for a connection (no coordinated omission). One thread sends and receives for all connections and sleeps in between: it
//! takes little from the machine that it shares with what it measures, and has no timers of a millisecond. The well-kept generators that
//! do this send every request with the same headers; here each user asks with a token of its own.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;

use crate::requests::NUMBER;

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
    // A sleep ends when it is due, and not up to 50 microseconds later.
    set_timerslack(1).context("the kernel does not sleep to the point")?;
    let mut lines = (0..connections).map(|_| Line::open(address)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut idle: VecDeque<usize> = (0..lines.len()).collect();
    let schedule = Schedule { begun: Instant::now(), rate, count: total(rate, seconds) };
    let (mut next, mut times) = (0, Vec::new());
    while next < schedule.count || idle.len() < lines.len() {
        while let Some(due) = schedule.due(next).filter(|due| *due <= Instant::now())
            && let Some(at) = idle.pop_front()
        {
            lines[at].send(&numbered(&requests[usize::try_from(next)? % requests.len()], next), due)?;
            next += 1;
        }
        let until = schedule.due(next).filter(|_| !idle.is_empty());
        let ready = wait(&lines, until)?;
        for at in ready {
            if let Some(took) = lines[at].receive()? {
                times.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                idle.push_back(at);
            }
        }
    }
    times.sort_unstable();
    Ok(Times(times))
}

/// A request with the number in it that is another one each time, if it has one.
fn numbered(request: &[u8], use_: u64) -> Cow<'_, [u8]> {
    let Some(at) = request.iter().position(|byte| char::from(*byte) == NUMBER) else { return Cow::Borrowed(request) };
    let number = 10_000_000 + use_ % 90_000_000;
    Cow::Owned([&request[..at], number.to_string().as_bytes(), &request[at + 1..]].concat())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "requests of some seconds")]
fn total(rate: f64, seconds: u32) -> u64 {
    (rate * f64::from(seconds)).max(1.0) as u64
}

/// When each request is due.
struct Schedule {
    begun: Instant,
    rate: f64,
    count: u64,
}

impl Schedule {
    /// `None` behind the last one.
    #[expect(clippy::cast_precision_loss, reason = "requests of some seconds")]
    fn due(&self, number: u64) -> Option<Instant> {
        (number < self.count).then(|| self.begun + Duration::from_secs_f64(number as f64 / self.rate))
    }
}

/// Waits for answers, until an instant if there is one, and returns the connections that have something.
fn wait(lines: &[Line], until: Option<Instant>) -> anyhow::Result<Vec<usize>> {
    let busy: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].due.is_some()).collect();
    let mut polled: Vec<PollFd> = busy.iter().map(|at| PollFd::new(lines[*at].socket.as_fd(), PollFlags::POLLIN)).collect();
    let most = until.map_or(PATIENCE, |until| until.saturating_duration_since(Instant::now()));
    match ppoll(&mut polled, Some(TimeSpec::from_duration(most)), None) {
        Ok(0) if until.is_none() => bail!("no answer came for {} s", PATIENCE.as_secs()),
        // A signal is for others.
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error).context("cannot wait for answers"),
    }
    let ready = busy.iter().zip(&polled).filter(|(_, one)| one.any().unwrap_or(false));
    Ok(ready.map(|(at, _)| *at).collect())
}

/// A connection, with at most one request on its way.
struct Line {
    socket: TcpStream,
    due: Option<Instant>,
    /// What has come of the answer.
    answer: Vec<u8>,
}

impl Line {
    fn open(address: &str) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, due: None, answer: Vec::new() })
    }

    fn send(&mut self, request: &[u8], due: Instant) -> anyhow::Result<()> {
        self.due = Some(due);
        self.answer.clear();
        // Nothing else is on its way, so there is room for it.
        self.socket.write_all(request).context("a connection broke")
    }

    /// Reads what there is; once the answer is complete, how long it took since it was due.
    fn receive(&mut self) -> anyhow::Result<Option<Duration>> {
        let mut bytes = [0; 16_384];
        match self.socket.read(&mut bytes) {
            Ok(0) => bail!("a connection was closed instead of an answer"),
            Ok(count) => self.answer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("an answer broke off"),
        }
        if !is_complete(&self.answer)? {
            return Ok(None);
        }
        Ok(self.due.take().map(|due| due.elapsed()))
    }
}

/// Whether these are all bytes of an answer, and one that is none of refusal.
fn is_complete(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&answer[..end]).context("an answer is no text")?;
    let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok()).context("an answer has no status")?;
    ensure!(status < 400, "a request was answered with {status}");
    let mut length = 0;
    for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
        ensure!(!name.eq_ignore_ascii_case("transfer-encoding"), "an answer comes in pieces");
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().context("an answer has no length")?;
        }
    }
    Ok(answer.len() >= end + 4 + length)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::thread;

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
