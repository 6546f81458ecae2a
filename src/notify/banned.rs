//! Notices that users have been banned, here or on another instance, and sends them away.

use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use super::hub::Hub;
use super::tasks::Common;
use crate::directory::Directory;

/// Reads the bans again whenever they have changed, and closes the sockets of those who are banned. Sockets that were being opened when
/// their user was banned are found at the next look.
pub(super) async fn watch(common: Common) {
    let mut ticks = interval(common.options.reconcile);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = common.directory.refresh_bans().await {
            debug!(%error, "failed to look whether somebody has been banned");
        }
        common.hub.send_away(&common.directory);
    }
}

impl Hub {
    /// Closes the sockets of everybody who is banned now.
    pub fn send_away(&self, directory: &Directory) {
        let (bans, real_now) = (directory.bans(), directory.clock().real());
        if !bans.is_empty() {
            self.close_banned(|xuid| bans.hold(xuid, real_now));
        }
    }
}
