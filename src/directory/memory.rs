//! What the writer remembers: sessions as it has last saved them, so that the next command on one need not load it.
//!
//! Nothing rests on it. A save names the version that was decided on and loses against whoever has saved meanwhile, and what comes to no
//! save is decided again on what is stored. A session that others save as well is remembered again once it is found as it was left here.

use hashlink::LruCache;
use uuid::Uuid;

use super::plan::Basis;
use crate::store::Version;

/// What a session takes beside the text of its document, and one of which only the version is known, in bytes.
const SESSION_BYTES: usize = 2048;
const VERSION_BYTES: usize = 128;
/// How many times its text a session takes in memory: its values, and the rendered entries of its members.
const TEXT_TIMES: usize = 2;

/// Sessions that were just saved; those that were not needed for longest are forgotten first.
pub(super) struct Memory {
    sessions: LruCache<Uuid, Remembered>,
    bytes: usize,
    most: usize,
}

/// What is known of a session.
struct Remembered {
    /// In which version it was left.
    version: Version,
    /// As what; `None` while it is decided on, and where others have saved it since.
    basis: Option<Basis>,
    bytes: usize,
}

impl Memory {
    /// Room for so many bytes, as far as they can be told.
    pub fn new(most: usize) -> Self {
        Self { sessions: LruCache::new_unbounded(), bytes: 0, most }
    }

    /// Takes a session out to decide on it.
    pub fn take(&mut self, sid: Uuid) -> Option<Basis> {
        self.sessions.get_mut(&sid)?.basis.take()
    }

    /// Whether a session that was loaded in this version is to be remembered when it has been saved: not if others save it, too.
    pub fn trusts(&self, sid: Uuid, loaded: Option<Version>) -> bool {
        self.sessions.peek(&sid).is_none_or(|remembered| Some(remembered.version) == loaded)
    }

    /// Remembers a session that was just saved and has a text of so many bytes; without `basis` only in which version.
    pub fn put(&mut self, sid: Uuid, version: Version, basis: Option<Basis>, text: usize) {
        let bytes = basis.as_ref().map_or(VERSION_BYTES, |_| SESSION_BYTES + TEXT_TIMES * text);
        self.forget(sid);
        if bytes > self.most {
            return;
        }
        self.sessions.insert(sid, Remembered { version, basis, bytes });
        self.bytes += bytes;
        while self.bytes > self.most
            && let Some((_, oldest)) = self.sessions.remove_lru()
        {
            self.bytes -= oldest.bytes;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.bytes = 0;
    }

    /// Forgets a session.
    pub fn forget(&mut self, sid: Uuid) {
        if let Some(known) = self.sessions.remove(&sid) {
            self.bytes -= known.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::typical::Typical;
    use crate::wire::stored::Renderer;

    const SID: [Uuid; 3] = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)];

    fn basis(version: Version) -> Basis {
        let session = Typical::of(2).record.expect("it is a session");
        Basis { version, session, body: None, renderer: Renderer::default() }
    }

    fn version(revision: i64) -> Version {
        Version { branch: Uuid::nil(), revision }
    }

    #[test]
    fn the_one_that_was_not_needed_for_longest_is_forgotten() {
        let mut memory = Memory::new(2 * (SESSION_BYTES + TEXT_TIMES * 100));
        for sid in &SID[..2] {
            memory.put(*sid, version(1), Some(basis(version(1))), 100);
        }
        let needed = memory.take(SID[0]);
        assert!(needed.is_some() && memory.take(SID[0]).is_none(), "it is taken out");
        memory.put(SID[0], version(2), needed, 100);
        memory.put(SID[2], version(1), Some(basis(version(1))), 100);
        assert!(memory.take(SID[1]).is_none());
        assert!(memory.take(SID[0]).is_some() && memory.take(SID[2]).is_some());
    }

    #[test]
    fn what_has_no_room_is_not_kept_and_room_is_given_back() {
        let mut memory = Memory::new(SESSION_BYTES + TEXT_TIMES * 100);
        memory.put(SID[0], version(1), Some(basis(version(1))), 101);
        assert!(memory.take(SID[0]).is_none());
        for revision in 1..100 {
            memory.put(SID[1], version(revision), Some(basis(version(revision))), 100);
            assert_eq!(memory.take(SID[1]).map(|basis| basis.version.revision), Some(revision));
        }
        memory.forget(SID[1]);
        assert_eq!(memory.bytes, 0);
        memory.put(SID[2], version(1), Some(basis(version(1))), 100);
        memory.clear();
        assert!(memory.bytes == 0 && memory.take(SID[2]).is_none());
    }

    #[test]
    fn a_session_that_others_save_is_trusted_again_once_it_is_found_as_it_was_left() {
        let mut memory = Memory::new(1 << 20);
        assert!(memory.trusts(SID[0], None) && memory.trusts(SID[0], Some(version(7))), "nothing is known yet");
        memory.put(SID[0], version(8), Some(basis(version(8))), 100);
        assert!(memory.trusts(SID[0], Some(version(8))));
        assert!(!memory.trusts(SID[0], Some(version(9))), "somebody else has saved it");
        memory.put(SID[0], version(10), None, 100);
        assert!(memory.take(SID[0]).is_none());
        assert!(memory.trusts(SID[0], Some(version(10))));
        assert!(!memory.trusts(SID[0], None), "somebody else has ended it");
    }
}
