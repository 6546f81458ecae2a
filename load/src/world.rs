//! What the users of a run share: where things are, who is there, and what has been made that others may use.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Barrier, watch};

use crate::cli::Scenario;
use crate::client::Link;
use crate::measure::Recorder;
use crate::tokens::Identity;

/// Lobbies that can be joined, at most.
const BOARD_MAX: usize = 256;
/// Users who share a session in a stampede.
pub const GROUP: usize = 10;

/// Everything users share.
pub struct World {
    pub scenario: Scenario,
    pub large: bool,
    pub scid: String,
    pub title_id: String,
    pub templates: Templates,
    /// Stands in every name that this run makes.
    pub run: String,
    pub links: Vec<Arc<Link>>,
    pub identities: Vec<Identity>,
    pub recorder: Recorder,
    pub board: Mutex<VecDeque<Lobby>>,
    pub invites: Arc<Invites>,
    pub ears: Vec<Ear>,
    pub assembly: Assembly,
    /// Whether the run is over.
    pub over: watch::Sender<bool>,
    /// Whether nothing more is read back, either.
    pub enough: watch::Sender<bool>,
}

/// Whether a user hears invites. The number grows with every change and is odd while it does, so that whoever sends an invite can
/// tell whether the user heard all the while.
#[derive(Default)]
pub struct Ear(AtomicU64);

impl Ear {
    /// Since when the user has been hearing, if it does.
    pub fn open_since(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Acquire)).filter(|change| change % 2 == 1)
    }

    pub fn open(&self) {
        self.0.fetch_or(1, Ordering::AcqRel);
    }

    pub fn close(&self) {
        let change = self.0.load(Ordering::Acquire);
        // Only the user itself opens and closes.
        self.0.store(change + change % 2, Ordering::Release);
    }
}

/// Which template serves which purpose.
pub struct Templates {
    pub lobby: String,
    pub listed: String,
    pub crowd: String,
}

/// A session's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub reference: Value,
    /// As taps name it, in lower case.
    pub resource: String,
}

/// A lobby that others may join.
#[derive(Debug, Clone)]
pub struct Lobby {
    pub owner: usize,
    pub handle: String,
    pub place: Place,
}

impl World {
    /// The place of a session of this run.
    pub fn place(&self, template: &str, name: &str) -> Place {
        let (scid, name) = (&self.scid, format!("load-{}-{name}", self.run));
        Place {
            path: format!("/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}"),
            resource: format!("{scid}~{template}~{name}").to_lowercase(),
            reference: json!({"scid": scid, "templateName": template, "name": name}),
        }
    }

    /// Publishes a lobby; the oldest makes room.
    pub fn publish(&self, lobby: Lobby) {
        let mut board = self.board.lock().expect("nobody panics here");
        if board.len() == BOARD_MAX {
            board.pop_front();
        }
        board.push_back(lobby);
    }

    /// Takes a user's lobbies from the board.
    pub fn withdraw(&self, owner: usize) {
        self.board.lock().expect("nobody panics here").retain(|lobby| lobby.owner != owner);
    }

    /// Somebody else's lobby.
    pub fn lobby(&self, not_of: usize, chance: u64) -> Option<Lobby> {
        let board = self.board.lock().expect("nobody panics here");
        let others: Vec<&Lobby> = board.iter().filter(|lobby| lobby.owner != not_of).collect();
        let count = u64::try_from(others.len()).unwrap_or(u64::MAX);
        let at = chance.checked_rem(count)?;
        others.get(usize::try_from(at).unwrap_or(0)).map(|lobby| (*lobby).clone())
    }
}

/// Invites on their way from the answer of their sender's request to the socket of the invited, which may be first.
#[derive(Default)]
pub struct Invites {
    halves: Mutex<HashMap<String, Half>>,
}

#[derive(Debug, Clone, Copy)]
enum Half {
    /// Of this user.
    Answered(Instant, usize),
    Heard(Instant),
}

impl Invites {
    /// Takes the answer to an invite; says the lag if it was heard before.
    pub fn answered(&self, id: &str, at: Instant, invited: usize) -> Option<Duration> {
        self.half(id, Half::Answered(at, invited))
    }

    /// Forgets what a user has not heard yet, who is about to cut its socket.
    pub fn forget(&self, user: usize) {
        let mut halves = self.halves.lock().expect("nobody panics here");
        halves.retain(|_, half| !matches!(half, Half::Answered(_, invited) if *invited == user));
    }

    /// Takes an invite from a socket; says the lag if it was answered before.
    pub fn heard(&self, id: &str, at: Instant) -> Option<Duration> {
        self.half(id, Half::Heard(at))
    }

    fn half(&self, id: &str, new: Half) -> Option<Duration> {
        let mut halves = self.halves.lock().expect("nobody panics here");
        let (answered, heard) = match (halves.get(id).copied(), new) {
            (Some(Half::Answered(answered, _)), Half::Heard(heard)) | (Some(Half::Heard(heard)), Half::Answered(answered, _)) => {
                (answered, heard)
            }
            (Some(_), _) => return None,
            (None, new) => {
                halves.insert(id.to_owned(), new);
                return None;
            }
        };
        halves.remove(id);
        Some(heard.saturating_duration_since(answered))
    }

    /// How many were answered and not heard.
    pub fn outstanding(&self) -> u64 {
        let halves = self.halves.lock().expect("nobody panics here");
        halves.values().filter(|half| matches!(half, Half::Answered(..))).count() as u64
    }
}

/// Where all users of a stampede wait for each other.
pub struct Assembly {
    barrier: Barrier,
    go: AtomicBool,
    /// Per group the change that everybody of it must hear of, and when it was answered.
    posts: Vec<Mutex<Option<(u64, Instant)>>>,
}

impl Assembly {
    pub fn new(users: usize) -> Self {
        let posts = (0..users.div_ceil(GROUP)).map(|_| Mutex::default()).collect();
        Self { barrier: Barrier::new(users), go: AtomicBool::new(true), posts }
    }

    /// Waits until everybody is here; then one of them decides for all whether they go on.
    pub async fn all_go(&self, decide: impl FnOnce() -> bool) -> bool {
        if self.barrier.wait().await.is_leader() {
            self.go.store(decide(), Ordering::Release);
            for post in &self.posts {
                *post.lock().expect("nobody panics here") = None;
            }
        }
        self.barrier.wait().await;
        self.go.load(Ordering::Acquire)
    }

    /// Waits until everybody is here.
    pub async fn all_here(&self) {
        self.barrier.wait().await;
    }

    pub fn post(&self, group: usize, number: u64, answered: Instant) {
        *self.posts[group].lock().expect("nobody panics here") = Some((number, answered));
    }

    pub fn posted(&self, group: usize) -> Option<(u64, Instant)> {
        *self.posts[group].lock().expect("nobody panics here")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Target;

    #[test]
    fn an_invite_is_paired_whichever_half_comes_first() {
        let invites = Invites::default();
        let (first, second) = (Instant::now(), Instant::now() + Duration::from_millis(5));
        assert_eq!(invites.answered("a", first, 0), None);
        assert_eq!(invites.heard("a", second), Some(second - first));
        assert_eq!(invites.heard("b", first), None);
        assert_eq!(invites.outstanding(), 0, "nobody waits for an answer");
        assert_eq!(invites.answered("b", second, 0), Some(Duration::ZERO), "a tap before the answer has no lag");
        invites.answered("c", first, 0);
        invites.answered("d", first, 1);
        assert_eq!(invites.outstanding(), 2);
        invites.forget(1);
        assert_eq!(invites.outstanding(), 1, "who cuts its socket misses nothing");
    }

    #[test]
    fn an_ear_that_was_closed_in_between_is_another() {
        let ear = Ear::default();
        assert_eq!(ear.open_since(), None);
        ear.open();
        let first = ear.open_since();
        ear.open();
        assert!(first.is_some() && ear.open_since() == first);
        ear.close();
        ear.close();
        assert_eq!(ear.open_since(), None);
        ear.open();
        assert!(ear.open_since() > first);
    }

    impl World {
        /// A world of one user whose target is never asked.
        pub fn alone() -> Self {
            let target = Target { base: "http://127.0.0.1:1".to_owned() };
            let link = Link::new(target, Duration::from_secs(1)).expect("a client can be made");
            Self {
                scenario: Scenario::JoinStorm,
                large: false,
                scid: "s".to_owned(),
                title_id: "1".to_owned(),
                templates: Templates { lobby: "L".to_owned(), listed: "O".to_owned(), crowd: "C".to_owned() },
                run: "run".to_owned(),
                links: vec![Arc::new(link)],
                identities: vec![Identity { xuid: "25".to_owned(), authorization: "none".to_owned() }],
                recorder: Recorder::new(Instant::now()),
                board: Mutex::default(),
                invites: Arc::default(),
                ears: vec![Ear::default()],
                assembly: Assembly::new(1),
                over: watch::Sender::new(false),
                enough: watch::Sender::new(false),
            }
        }
    }

    #[test]
    fn the_board_gives_somebody_elses_lobby_and_forgets_the_oldest() {
        let world = World::alone();
        let lobby = |owner: usize| Lobby { owner, handle: owner.to_string(), place: world.place("L", &owner.to_string()) };
        assert!(world.lobby(0, 7).is_none());
        world.publish(lobby(0));
        assert!(world.lobby(0, 7).is_none() && world.lobby(1, 7).is_some());
        for owner in 1..=BOARD_MAX {
            world.publish(lobby(owner));
        }
        assert!((0..1000).filter_map(|chance| world.lobby(5, chance)).all(|lobby| lobby.owner != 0 && lobby.owner != 5));
        world.withdraw(7);
        assert_eq!(world.board.lock().unwrap().len(), BOARD_MAX - 1);
        assert_eq!(lobby(3).place.resource, "s~l~load-run-3");
    }

    #[tokio::test]
    async fn one_decides_for_all() {
        let assembly = Arc::new(Assembly::new(3));
        for go in [true, false] {
            let users = (0..3).map(|_| {
                let assembly = Arc::clone(&assembly);
                async move { assembly.all_go(|| go).await }
            });
            assert_eq!(futures_util::future::join_all(users).await, [go; 3]);
        }
    }
}
