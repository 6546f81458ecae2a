//! The RTA socket (N-01 to N-24): the protocol that brings taps and invites to clients.
//!
//! [`Machine`] decides everything about one socket and knows neither time nor network; [`Socket`] is the loop that drives it between
//! a websocket and the hub. [`bounded`] measures frames before they are kept anywhere. What is *not* here: who may open a socket (`http`), and what is told to whom (`notify`).

mod frames;
mod machine;
mod socket;

use std::time::Duration;

pub use frames::bounded;
pub use machine::{Act, Machine, Terms};
pub use socket::Socket;

/// What the installation decides about sockets.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often life is checked and time looked at, as [`tick()`] says.
    pub tick: Duration,
    /// How often the client is pinged (N-19).
    pub ping_interval: Duration,
    /// After how long without any frame the client is given up (N-19).
    pub idle: Duration,
    /// After how long a socket is closed so that its token is renewed (N-18).
    pub lifetime: Duration,
    /// How many subscriptions a socket may have (N-17).
    pub subscriptions_max: usize,
    /// The largest frame and the largest message, in bytes (N-04).
    pub frame_bytes: usize,
    /// How long sending may wait for a client that does not read, whatever one turn of the loop has to send.
    pub send_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(5),
            ping_interval: Duration::from_secs(10),
            idle: Duration::from_secs(20),
            lifetime: Duration::from_hours(2),
            subscriptions_max: 1000,
            frame_bytes: 64 << 10,
            send_timeout: Duration::from_secs(10),
        }
    }
}

/// How often a socket looks at the time: half the interval between pings, and no less often than its end shall be kept to (N-18).
#[must_use]
pub fn tick(ping_interval: Duration) -> Duration {
    const LONGEST: Duration = Duration::from_secs(5);
    LONGEST.min(ping_interval / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n18_the_end_of_a_token_is_noticed_however_seldom_clients_are_pinged() {
        assert_eq!(tick(Duration::from_secs(10)), Duration::from_secs(5));
        assert_eq!(tick(Duration::from_millis(400)), Duration::from_millis(200));
        assert_eq!(tick(Duration::from_hours(1)), Duration::from_secs(5));
    }
}
