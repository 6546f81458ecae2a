//! Counts requests in fixed windows and says when there were too many (W-80). It knows neither requests nor clocks.
//!
//! A window begins with the first request that falls into it and ends a period later; then the count begins anew. Requests that are
//! turned away count like all others, in both windows. That is how the original describes its limits, and what the body of a refusal
//! tells (E-20): a current count, which the bucket that drips evenly does not have.
//!
//! Memory is bounded: callers are kept in two generations. Whoever calls moves to the young one; when that is full, or older than the
//! longest period, the old one is forgotten and the young one becomes old. In the second case all windows of those forgotten have ended.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::names::{TitleId, Xuid};
use crate::domain::throttle::{Counted, Limit, Numbers, Window};

/// How many locks there are, each over its part of the callers.
const SHARDS: usize = 16;
const MICROS: i64 = 1_000_000;

/// The installation's part in it.
#[derive(Debug, Clone)]
pub struct ThrottleRules {
    /// Whether anything is counted.
    pub enabled: bool,
    /// Whether a request of a server that acts for users counts for them.
    pub acting_users: bool,
    /// How much is allowed.
    pub numbers: Numbers,
    /// How many callers are remembered, counted apart for each kind of request.
    pub entries_max: usize,
}

impl Default for ThrottleRules {
    /// Off, with the numbers of the contract.
    fn default() -> Self {
        Self { enabled: false, acting_users: true, numbers: Numbers::default(), entries_max: 100_000 }
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The user.
    pub xuid: Xuid,
    /// The title that asks, if it is known.
    pub title: Option<TitleId>,
    /// The service config, if it has numbers of its own; all others are counted together.
    pub scid: Option<Uuid>,
    /// What is counted.
    pub counted: Counted,
}

/// What is left in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The most requests.
    pub max: u32,
    /// How many of them are left.
    pub left: u32,
    /// In how many seconds the count begins anew; rounded up, so at least 1.
    pub reset_s: u32,
}

impl Allowance {
    /// The one that leaves less, or is bad for longer: whoever waits until then finds none of both used up.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        let rank = |one: &Self| (one.left, u32::MAX - one.reset_s);
        if rank(&other) < rank(&self) { other } else { self }
    }
}

/// A request too many in a window (E-20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// How many there were, this one included.
    pub count: u32,
    /// How many are allowed.
    pub window: Window,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The tighter of the two windows; `None` when neither sets a bound.
    pub left: Option<Allowance>,
    /// Why the request is turned away, if it is: of two full windows the one that ends later.
    pub excess: Option<Excess>,
}

/// What the windows are called, in the order of [`place`].
const NAMES: [&str; 6] =
    ["burst", "sustained", "search-read-burst", "search-read-sustained", "search-write-burst", "search-write-sustained"];

fn place(counted: Counted, sustained: bool) -> usize {
    let first = match counted {
        Counted::Requests => 0,
        Counted::SearchReads => 2,
        Counted::SearchWrites => 4,
    };
    first + usize::from(sustained)
}

/// Who called how often.
pub struct Throttle {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    /// How many entries a generation of a shard may have.
    generation_max: usize,
    rejected: [AtomicU64; NAMES.len()],
}

#[derive(Default)]
struct Shard {
    young: HashMap<Key, Counts>,
    old: HashMap<Key, Counts>,
    /// When the young generation began, in microseconds since 1970.
    began: i64,
    /// The longest period that was asked for, in microseconds.
    longest: i64,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    burst: Count,
    sustained: Count,
}

/// How many requests fell into a window, and when that began, in microseconds since 1970.
#[derive(Default, Clone, Copy)]
struct Count {
    began: i64,
    count: u32,
}

impl Throttle {
    /// Nobody has called yet; at most about so many entries are kept.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            generation_max: (entries_max / SHARDS / 2).max(1),
            rejected: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Counts a request, whatever becomes of it.
    pub fn count(&self, key: Key, limit: Limit, now: DateTime<Utc>) -> Verdict {
        let now = now.timestamp_micros();
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).expect("there are few shards");
        let mut shard = self.shards[shard].lock().expect("counting does not panic");
        let counts = shard.counts(key, limit, now, self.generation_max);
        counts.burst.add(limit.burst, now);
        counts.sustained.add(limit.sustained, now);
        let Counts { burst, sustained } = *counts;
        drop(shard);

        let bounds = [(burst, limit.burst, false), (sustained, limit.sustained, true)];
        let bounds = bounds.into_iter().filter(|(_, window, _)| window.max > 0);
        let full = bounds.clone().filter(|(count, window, _)| count.count > window.max);
        let excess = full.max_by_key(|(count, window, _)| count.end(*window)).map(|(count, window, is_sustained)| {
            self.rejected[place(key.counted, is_sustained)].fetch_add(1, Ordering::Relaxed);
            Excess { count: count.count, window }
        });
        Verdict { left: bounds.map(|(count, window, _)| count.left(window, now)).reduce(Allowance::tighter), excess }
    }

    /// How often requests were turned away since the start, by the name of the window that did it.
    pub fn rejected(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.into_iter().zip(self.rejected.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

impl Shard {
    /// What is known of a caller, in the young generation.
    fn counts(&mut self, key: Key, limit: Limit, now: i64, generation_max: usize) -> &mut Counts {
        let period = limit.burst.period_s.max(limit.sustained.period_s);
        self.longest = self.longest.max(i64::from(period) * MICROS);
        // A clock that was set back must not keep a generation for longer.
        self.began = self.began.min(now);
        let is_full = self.young.len() >= generation_max && !self.young.contains_key(&key);
        if is_full || now >= self.began + self.longest {
            self.old = std::mem::take(&mut self.young);
            self.began = now;
        }
        if !self.young.contains_key(&key) {
            let known = self.old.remove(&key).unwrap_or_default();
            self.young.insert(key, known);
        }
        self.young.get_mut(&key).expect("it has just been put there")
    }
}

impl Count {
    fn add(&mut self, window: Window, now: i64) {
        if now >= self.end(window) {
            *self = Self { began: now, count: 0 };
        } else if now < self.began {
            // The clock was set back: nobody waits for longer than a period.
            self.began = now;
        }
        self.count = self.count.saturating_add(1);
    }

    fn end(&self, window: Window) -> i64 {
        self.began + i64::from(window.period_s) * MICROS
    }

    fn left(&self, window: Window, now: i64) -> Allowance {
        let micros = u64::try_from(self.end(window) - now).unwrap_or(0);
        let reset_s = u32::try_from(micros.div_ceil(MICROS.unsigned_abs())).unwrap_or(u32::MAX);
        Allowance { max: window.max, left: window.max.saturating_sub(self.count), reset_s: reset_s.clamp(1, window.period_s) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const ADA: Key = Key { xuid: Xuid(1), title: Some(TitleId(7)), scid: None, counted: Counted::Requests };

    fn limit(burst: (u32, u32), sustained: (u32, u32)) -> Limit {
        let window = |(max, period_s)| Window { max, period_s };
        Limit { burst: window(burst), sustained: window(sustained) }
    }

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_900_000_000_123 + ms).unwrap()
    }

    fn throttle() -> Throttle {
        Throttle::new(100_000)
    }

    /// Counts a request that is allowed, and tells what is left.
    fn pass(throttle: &Throttle, key: Key, limit: Limit, now: DateTime<Utc>) -> Option<(u32, u32, u32)> {
        let verdict = throttle.count(key, limit, now);
        assert_eq!(verdict.excess, None);
        verdict.left.map(|left| (left.max, left.left, left.reset_s))
    }

    /// Counts a request that is turned away, and tells the count, the window, and the time to wait.
    fn fail(throttle: &Throttle, key: Key, limit: Limit, now: DateTime<Utc>) -> (u32, Window, u32) {
        let Verdict { left: Some(Allowance { left: 0, reset_s, .. }), excess: Some(excess) } = throttle.count(key, limit, now)
        else {
            panic!("the request is allowed");
        };
        (excess.count, excess.window, reset_s)
    }

    /// Counts this many requests that are allowed.
    fn take(throttle: &Throttle, count: u32, limit: Limit, now: DateTime<Utc>) {
        for _ in 0..count {
            pass(throttle, ADA, limit, now);
        }
    }

    #[test]
    fn w80_a_window_begins_with_its_first_request_and_ends_a_period_later() {
        let (throttle, limit) = (throttle(), limit((3, 15), (100, 300)));
        take(&throttle, 3, limit, at(0));
        for (ms, count, wait) in [(0, 4, 15), (1, 5, 15), (1000, 6, 14), (14_999, 7, 1)] {
            assert_eq!(fail(&throttle, ADA, limit, at(ms)), (count, limit.burst, wait), "seconds are rounded up");
        }
        assert_eq!(pass(&throttle, ADA, limit, at(15_000)), Some((3, 2, 15)), "whoever waits so long comes through");
        take(&throttle, 2, limit, at(29_999));
        assert_eq!(fail(&throttle, ADA, limit, at(29_999)).2, 1, "it began with the first request, not with the last refusal");
        take(&throttle, 1, limit, at(30_000));
    }

    #[test]
    fn w80_rejected_requests_count_in_both_windows() {
        let (throttle, limit) = (throttle(), limit((2, 10), (8, 100)));
        take(&throttle, 2, limit, at(0));
        for count in 3..8 {
            assert_eq!(fail(&throttle, ADA, limit, at(0)), (count, limit.burst, 10));
        }
        // Only two came through, and yet the next one is one too many for the long window, too.
        assert_eq!(fail(&throttle, ADA, limit, at(0)), (8, limit.burst, 100));
        assert_eq!(fail(&throttle, ADA, limit, at(10_000)), (9, limit.sustained, 90));
        take(&throttle, 1, limit, at(100_000));
    }

    #[test]
    fn w80_of_two_full_windows_the_one_that_ends_later_is_told() {
        let (throttle, limit) = (throttle(), limit((2, 10), (3, 11)));
        take(&throttle, 2, limit, at(0));
        assert_eq!(fail(&throttle, ADA, limit, at(0)), (3, limit.burst, 11));
        assert_eq!(fail(&throttle, ADA, limit, at(0)), (4, limit.sustained, 11));
        let rejected: Vec<_> = throttle.rejected().filter(|(_, count)| *count > 0).collect();
        assert_eq!(rejected, [("burst", 1), ("sustained", 1)]);
        // The short window begins anew and outlasts the long one.
        assert_eq!(fail(&throttle, ADA, limit, at(10_000)), (5, limit.sustained, 1));
        take(&throttle, 1, limit, at(11_000));
        assert_eq!(fail(&throttle, ADA, limit, at(11_000)), (3, limit.burst, 9));
    }

    #[rstest]
    #[case::user(Key { xuid: Xuid(2), ..ADA })]
    #[case::title(Key { title: Some(TitleId(8)), ..ADA })]
    #[case::no_title(Key { title: None, ..ADA })]
    #[case::service_config(Key { scid: Some(Uuid::from_u128(9)), ..ADA })]
    #[case::reads(Key { counted: Counted::SearchReads, ..ADA })]
    #[case::writes(Key { counted: Counted::SearchWrites, ..ADA })]
    fn w80_users_titles_and_kinds_are_counted_apart(#[case] other: Key) {
        let (throttle, limit) = (throttle(), limit((1, 15), (20, 300)));
        for key in [ADA, other] {
            pass(&throttle, key, limit, at(0));
            fail(&throttle, key, limit, at(0));
        }
        let rejected: Vec<u64> = throttle.rejected().map(|(_, count)| count).collect();
        assert_eq!(rejected.iter().sum::<u64>(), 2);
        assert_eq!(rejected[place(other.counted, false)], if other.counted == ADA.counted { 2 } else { 1 });
    }

    #[test]
    fn the_tighter_window_is_told() {
        let (throttle, limit) = (throttle(), limit((3, 10), (4, 100)));
        let left = |now| pass(&throttle, ADA, limit, now);
        assert_eq!(left(at(0)), Some((3, 2, 10)));
        assert_eq!(left(at(4000)), Some((3, 1, 6)));
        assert_eq!(left(at(11_000)), Some((4, 1, 89)));
        assert_eq!(left(at(11_000)), Some((4, 0, 89)));
    }

    #[test]
    fn of_equal_allowances_the_one_that_lasts_longer_is_told() {
        assert_eq!(pass(&throttle(), ADA, limit((5, 10), (5, 100)), at(0)), Some((5, 4, 100)));
    }

    #[test]
    fn zero_is_no_bound() {
        let throttle = throttle();
        for _ in 0..500 {
            assert_eq!(pass(&throttle, ADA, limit((0, 15), (0, 300)), at(0)), None);
        }
        let one = limit((0, 15), (501, 300));
        assert_eq!(pass(&throttle, ADA, one, at(0)), Some((501, 0, 300)));
        assert_eq!(fail(&throttle, ADA, one, at(0)), (502, one.sustained, 300));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let (throttle, limit) = (throttle(), limit((1, 15), (20, 300)));
        take(&throttle, 1, limit, at(0));
        assert_eq!(fail(&throttle, ADA, limit, at(-3_600_000)), (2, limit.burst, 15));
        take(&throttle, 1, limit, at(-3_600_000 + 15_000));
    }

    fn entries(throttle: &Throttle) -> usize {
        throttle.shards.iter().map(|shard| shard.lock().unwrap()).map(|shard| shard.young.len() + shard.old.len()).sum()
    }

    #[test]
    fn memory_is_bounded_and_whoever_calls_stays() {
        let (throttle, limit) = (Throttle::new(320), limit((1000, 15), (30_000, 300)));
        for xuid in 2..902 {
            pass(&throttle, Key { xuid: Xuid(xuid), ..ADA }, limit, at(0));
            take(&throttle, 1, limit, at(0));
            assert!(entries(&throttle) <= 320, "{}", entries(&throttle));
        }
        assert!(entries(&throttle) > 160, "the room is used");
        assert_eq!(pass(&throttle, ADA, limit, at(0)), Some((1000, 1000 - 901, 15)), "nobody who calls is forgotten");
    }

    #[test]
    fn idle_callers_are_forgotten_when_their_windows_have_ended() {
        let (throttle, limit) = (throttle(), limit((30, 15), (300, 300)));
        for xuid in 0..1000 {
            pass(&throttle, Key { xuid: Xuid(xuid), ..ADA }, limit, at(0));
        }
        // Two generations later everybody who did not call again is gone; some hundred callers reach every shard.
        for (turn, now) in [at(300_000), at(600_000)].into_iter().enumerate() {
            for xuid in 5000..5300 {
                pass(&throttle, Key { xuid: Xuid(xuid), ..ADA }, limit, now);
            }
            assert_eq!(entries(&throttle), if turn == 0 { 1300 } else { 300 });
        }
    }

    proptest! {
        /// As many requests come through in each window as it takes, neither more nor less, whatever the times.
        #[test]
        fn w80_no_window_takes_more_than_it_may(steps in prop::collection::vec(0..4000_i64, 1..200), burst in 1..5_u32, sustained in 1..20_u32) {
            let (throttle, limit) = (throttle(), limit((burst, 5), (sustained, 30)));
            // The plainest way to say the same: windows as lists of requests.
            let (mut now, mut windows) = (0, [(0, 0_u32), (0, 0)]);
            for step in steps {
                now += step;
                for ((began, count), window) in windows.iter_mut().zip([limit.burst, limit.sustained]) {
                    if *count == 0 || now - *began >= i64::from(window.period_s) * 1000 {
                        (*began, *count) = (now, 0);
                    }
                    *count += 1;
                }
                let allowed = windows[0].1 <= burst && windows[1].1 <= sustained;
                let verdict = throttle.count(ADA, limit, at(now));
                prop_assert_eq!(verdict.excess.is_none(), allowed);
                if !allowed {
                    // Whoever waits as long as it is told comes through, and not a second earlier.
                    let wait = i64::from(verdict.left.unwrap().reset_s) * 1000;
                    let fits = |then: i64| windows.iter().zip([limit.burst, limit.sustained]).all(|((began, count), window)| {
                        *count < window.max || then - *began >= i64::from(window.period_s) * 1000
                    });
                    prop_assert!(fits(now + wait) && !fits(now + wait - 1000));
                }
            }
        }
    }
}
