//! Tokens found good a moment ago, so that a signature is checked once and not with every request.
//!
//! A token is kept for five minutes or until it expires, whichever is sooner, under the SHA-256 of itself and the generation of the
//! key set: with new keys nothing old is found. Failures are never kept, or a flood of bad tokens would push out the good ones.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::domain::names::Scid;
use crate::domain::principal::{Principal, ServerFor};

/// How long a token is believed without looking again.
const LONGEST: TimeDelta = TimeDelta::minutes(5);

/// A shard smaller than this is not worth its lock.
const MIN_SHARD_BYTES: usize = 64 * 1024;
const MAX_SHARDS: usize = 16;

/// What a token is found by.
pub type Key = [u8; 32];

/// The key of a token under one generation of the key set.
pub fn key(generation: u64, token: &str) -> Key {
    Sha256::new().chain_update(generation.to_be_bytes()).chain_update(token).finalize().into()
}

/// Shards by the first byte of the key, each with its lock and its share of the room.
pub struct TokenCache {
    shards: Box<[Mutex<Shard>]>,
    shard_bytes: usize,
}

/// Entries leave in the order they came, but one that was used since it was last looked at gets another round.
#[derive(Default)]
struct Shard {
    entries: HashMap<Key, Entry>,
    /// Holds every key of `entries` once.
    order: VecDeque<Key>,
    bytes: usize,
}

struct Entry {
    principal: Arc<Principal>,
    since: DateTime<Utc>,
    /// When this entry is not believed any more.
    until: DateTime<Utc>,
    /// When the token itself expires.
    expires_at: DateTime<Utc>,
    bytes: usize,
    used: bool,
}

impl TokenCache {
    /// A cache that never takes more than about `bytes`.
    pub fn new(bytes: usize) -> Self {
        let shard_count = (bytes / MIN_SHARD_BYTES).clamp(1, MAX_SHARDS);
        let shards = (0..shard_count).map(|_| Mutex::default()).collect();
        Self { shards, shard_bytes: bytes / shard_count }
    }

    /// The principal of a token that was good a moment ago, and when the token expires.
    pub fn find(&self, key: &Key, real_now: DateTime<Utc>) -> Option<(Arc<Principal>, DateTime<Utc>)> {
        let mut shard = self.shard(key);
        let entry = shard.entries.get_mut(key)?;
        if real_now < entry.since || real_now >= entry.until {
            return None;
        }
        entry.used = true;
        Some((Arc::clone(&entry.principal), entry.expires_at))
    }

    /// Keeps a token that is good at `real_now` and expires at `expires_at`.
    pub fn keep(&self, key: Key, principal: Arc<Principal>, real_now: DateTime<Utc>, expires_at: DateTime<Utc>) {
        let until = expires_at.min(real_now + LONGEST);
        let bytes = cost(&principal);
        if until <= real_now || bytes > self.shard_bytes {
            return;
        }
        let mut shard = self.shard(&key);
        shard.insert(key, Entry { principal, since: real_now, until, expires_at, bytes, used: false });
        shard.shrink(self.shard_bytes, real_now);
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(key[0]) % self.shards.len()];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn insert(&mut self, key: Key, entry: Entry) {
        self.bytes += entry.bytes;
        match self.entries.insert(key, entry) {
            Some(before) => self.bytes -= before.bytes,
            None => self.order.push_back(key),
        }
    }

    fn shrink(&mut self, limit: usize, real_now: DateTime<Utc>) {
        while self.bytes > limit {
            let Some(key) = self.order.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if entry.used && real_now < entry.until {
                entry.used = false;
                self.order.push_back(key);
            } else {
                self.bytes -= entry.bytes;
                self.entries.remove(&key);
            }
        }
    }
}

/// About how much memory an entry takes, in bytes: twice its fixed part, because tables are half empty, and its texts.
fn cost(principal: &Principal) -> usize {
    let texts = match principal {
        Principal::User(user) => {
            [&user.gamertag, &user.device_id, &user.device_type].into_iter().flatten().map(String::capacity).sum()
        }
        // No token stands for a server that acts for users: that is a server's with a header.
        Principal::ServerFor(ServerFor { server, .. }) | Principal::Server(server) => {
            server.name.capacity() + server.scids.capacity() * size_of::<Scid>()
        }
        Principal::Admin { name } => name.capacity(),
    };
    2 * (size_of::<Entry>() + 2 * size_of::<Key>()) + size_of::<Principal>() + texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn admin(name: &str) -> Arc<Principal> {
        Arc::new(Principal::Admin { name: name.to_owned() })
    }

    #[test]
    fn a_token_is_kept_for_five_minutes_or_until_it_expires() {
        let (cache, now) = (TokenCache::new(1 << 20), start());
        let (long, short, gone) = (key(1, "long"), key(1, "short"), key(1, "gone"));
        cache.keep(long, admin("long"), now, now + TimeDelta::hours(8));
        cache.keep(short, admin("short"), now, now + TimeDelta::minutes(1));
        cache.keep(gone, admin("gone"), now, now);
        let is_found = |key, after| cache.find(key, now + after).is_some();
        assert!(is_found(&long, TimeDelta::seconds(299)) && !is_found(&long, TimeDelta::seconds(300)));
        assert!(is_found(&short, TimeDelta::seconds(59)) && !is_found(&short, TimeDelta::seconds(60)));
        let expiry = cache.find(&long, now).map(|(_, expires_at)| expires_at);
        assert_eq!(expiry, Some(now + TimeDelta::hours(8)), "the token's own, not the entry's");
        assert!(!is_found(&gone, TimeDelta::zero()), "within leeway, but not to be kept");
        assert!(!is_found(&long, TimeDelta::seconds(-1)), "nothing is known about the time before");
    }

    #[test]
    fn another_generation_of_keys_finds_nothing() {
        let cache = TokenCache::new(1 << 20);
        cache.keep(key(1, "token"), admin("a"), start(), start() + TimeDelta::hours(1));
        assert!(cache.find(&key(1, "token"), start()).is_some());
        assert!(cache.find(&key(2, "token"), start()).is_none());
    }

    #[test]
    fn the_room_is_bounded_and_what_is_used_stays() {
        let (limit, now) = (16 * 1024, start());
        let cache = TokenCache::new(limit);
        let favourite = key(1, "favourite");
        cache.keep(favourite, admin("favourite"), now, now + TimeDelta::hours(1));
        for i in 0..1000 {
            cache.keep(key(1, &i.to_string()), admin(&"n".repeat(i % 100)), now, now + TimeDelta::hours(1));
            assert!(cache.find(&favourite, now).is_some(), "after {i}");
            let shard = cache.shards[0].lock().unwrap();
            assert!(shard.bytes <= limit);
            assert_eq!(shard.order.len(), shard.entries.len());
            assert_eq!(shard.bytes, shard.entries.values().map(|entry| entry.bytes).sum::<usize>());
        }
    }

    #[test]
    fn no_room_means_no_cache() {
        let cache = TokenCache::new(0);
        cache.keep(key(1, "token"), admin("a"), start(), start() + TimeDelta::hours(1));
        assert!(cache.find(&key(1, "token"), start()).is_none());
    }

    #[test]
    fn keeping_a_token_again_replaces_it() {
        let (cache, now) = (TokenCache::new(1 << 20), start());
        for minute in 0..10 {
            let now = now + TimeDelta::minutes(minute);
            cache.keep(key(1, "token"), admin("a"), now, now + TimeDelta::hours(1));
        }
        let shard = cache.shard(&key(1, "token"));
        assert_eq!((shard.entries.len(), shard.order.len(), shard.bytes), (1, 1, cost(&admin("a"))));
    }
}
