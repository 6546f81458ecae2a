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
    /// How often life is checked and time looked at: half the interval between pings, or less.
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
