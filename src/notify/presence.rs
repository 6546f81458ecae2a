//! Which instances live: judged by watching each other's beats, without comparing clocks.
//!
//! An instance that stands still for a while (a paused machine, a full disk) is not dead: it has half a minute to go on. One whose own
//! connection to the database has ended as well is given up much sooner, because that happens at once when a process is killed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use uuid::Uuid;

use crate::store::rows::PeerRow;

/// How often an instance gives a sign of life, and looks for those of others.
pub const BEAT: Duration = Duration::from_secs(2);
/// How long a beat may stand still before its instance is over.
const LEASE: Duration = Duration::from_secs(30);
/// The same for an instance whose own connection to the database is gone.
const DETACHED: Duration = Duration::from_secs(6);
/// The most that one look counts, however long ago the last one was: whoever could not look for a while has seen nothing in between.
const LOOK_MAX: Duration = Duration::from_secs(3);

/// What an instance has seen of its peers.
#[derive(Debug, Default)]
pub struct Peers {
    seen: HashMap<Uuid, Still>,
}

/// A beat, and for how long it has been seen standing still.
#[derive(Debug)]
struct Still {
    beat: i64,
    stood: Duration,
}

impl Peers {
    /// Takes in a look at all peers, `since_last` after the last one that succeeded, and returns those that are over, each with its last
    /// beat.
    pub fn look(&mut self, peers: &[PeerRow], since_last: Duration) -> Vec<(Uuid, Option<i64>)> {
        self.seen.retain(|id, _| peers.iter().any(|peer| peer.id == *id));
        let mut over = Vec::new();
        for peer in peers {
            let still = match self.seen.entry(peer.id) {
                Entry::Occupied(seen) => seen.into_mut(),
                // How long it has stood there already nobody knows.
                Entry::Vacant(unseen) => {
                    unseen.insert(Still { beat: peer.beat, stood: Duration::ZERO });
                    continue;
                }
            };
            if still.beat == peer.beat {
                still.stood += since_last.min(LOOK_MAX);
            } else {
                *still = Still { beat: peer.beat, stood: Duration::ZERO };
            }
            if still.stood >= if peer.attached { LEASE } else { DETACHED } {
                over.push((peer.id, Some(peer.beat)));
            }
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Uuid = Uuid::from_u128(1);

    fn looks(peers: &mut Peers, beat: i64, attached: bool, times: u32, since: Duration) -> bool {
        (0..times).any(|_| !peers.look(&[PeerRow { id: PEER, beat, attached }], since).is_empty())
    }

    #[test]
    fn n43_who_stands_still_has_half_a_minute_and_who_is_gone_a_few_seconds() {
        let mut peers = Peers::default();
        assert!(!looks(&mut peers, 1, true, 15, BEAT), "the first look only learns the beat");
        assert!(looks(&mut peers, 1, true, 1, BEAT));
        let mut peers = Peers::default();
        assert!(!looks(&mut peers, 1, false, 3, BEAT));
        assert!(looks(&mut peers, 1, false, 1, BEAT));
    }

    #[test]
    fn n43_a_beat_that_goes_on_is_a_life_that_goes_on() {
        let mut peers = Peers::default();
        for beat in 0..100 {
            assert!(!looks(&mut peers, beat, beat % 2 == 0, 2, BEAT));
        }
    }

    #[test]
    fn n43_whoever_was_frozen_blames_nobody() {
        let mut peers = Peers::default();
        assert!(!looks(&mut peers, 1, true, 2, Duration::from_hours(1)), "one look counts for three seconds at most");
        assert!(!looks(&mut peers, 2, true, 1, Duration::from_hours(1)));
    }
}
