//! The only reads of wall time and randomness, so that everything else can be told what time it is and which ids come next.
//!
//! There are two clocks (see the architecture notes): [`Clock::now`] is the service's time, which timers, grace periods and
//! expirations live by and which the development clock moves; [`Clock::real`] is for whatever outsiders agree with us about: tokens,
//! leases, pings, throttling and the `Date` header. Deliberately not here: cryptographic randomness, which stays with the library
//! that makes the keys.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// The last instant any clock shows: the end of the year 9999, in microseconds since 1970. Later ones have no RFC 3339 form.
const LATEST: i64 = 253_402_300_799_999_999;

/// What time it is, cut to microseconds because PostgreSQL keeps no more.
///
/// Clones share one clock, so an advance is seen by all of them.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    base: Base,
    /// How far the development clock is ahead, in microseconds.
    advanced: AtomicI64,
    /// How far the database's clock is ahead of ours, in microseconds; negative when it is behind.
    database: AtomicI64,
}

enum Base {
    System,
    /// Microseconds since 1970; moves only when told to.
    Manual(AtomicI64),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Base::System)
    }

    /// A clock that stands still at `start` until it is advanced, for tests.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self::new(Base::Manual(AtomicI64::new(start.timestamp_micros())))
    }

    fn new(base: Base) -> Self {
        Self(Arc::new(Inner { base, advanced: AtomicI64::new(0), database: AtomicI64::new(0) }))
    }

    /// The service's time: real time plus what the development clock was advanced by.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        instant(self.0.real_micros().saturating_add(self.0.advanced.load(Ordering::Relaxed)))
    }

    /// Real time, which no development clock moves.
    #[must_use]
    pub fn real(&self) -> DateTime<Utc> {
        instant(self.0.real_micros())
    }

    /// Moves the service's time forward and returns the new [`Clock::now`]; real time stays. Stops at the end of the year 9999.
    #[expect(clippy::must_use_candidate, reason = "moving the clock is the point")]
    pub fn advance(&self, by: Duration) -> DateTime<Utc> {
        add(&self.0.advanced, by);
        self.now()
    }

    /// Lets real time pass on a manual clock, and the service's time with it, as in life. Returns the new [`Clock::real`].
    ///
    /// # Panics
    /// On the machine's clock, which nobody can move.
    #[expect(clippy::must_use_candidate, reason = "moving the clock is the point")]
    pub fn advance_real(&self, by: Duration) -> DateTime<Utc> {
        let Base::Manual(micros) = &self.0.base else { panic!("only a manual clock is told what time it is") };
        add(micros, by);
        self.real()
    }

    /// Takes over the measured distance to the database's clock (positive: the database is ahead); both times follow it.
    ///
    /// It replaces the distance set before.
    pub fn set_database_offset(&self, ahead: TimeDelta) {
        self.0.database.store(ahead.num_microseconds().unwrap_or(0), Ordering::Relaxed);
    }
}

impl Clock {
    /// The distance to the database's clock that was taken over last.
    #[must_use]
    pub fn database_offset(&self) -> TimeDelta {
        TimeDelta::microseconds(self.0.database.load(Ordering::Relaxed))
    }
}

impl Inner {
    fn real_micros(&self) -> i64 {
        let here = match &self.base {
            #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
            Base::System => Utc::now().timestamp_micros(),
            Base::Manual(micros) => micros.load(Ordering::Relaxed),
        };
        here.saturating_add(self.database.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Adds without ever wrapping round to the past.
fn add(micros: &AtomicI64, by: Duration) {
    let by = i64::try_from(by.as_micros()).unwrap_or(LATEST).min(LATEST);
    micros.update(Ordering::Relaxed, Ordering::Relaxed, |before| before.saturating_add(by).min(LATEST));
}

fn instant(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros.clamp(0, LATEST)).expect("years 1970 to 9999 are in range")
}

/// Where new ids come from.
///
/// Clones share one sequence.
#[derive(Debug, Clone)]
pub struct Ids(Source);

#[derive(Debug, Clone)]
enum Source {
    Random,
    Counting { seed: u32, last: Arc<AtomicU64> },
}

impl Ids {
    /// Unpredictable ids, from the operating system.
    #[must_use]
    pub fn random() -> Self {
        Self(Source::Random)
    }

    /// The same ids in every run, for snapshots: `{seed}-0000-4000-8000-{1, 2, 3 …}`.
    #[must_use]
    pub fn counting(seed: u32) -> Self {
        Self(Source::Counting { seed, last: Arc::new(AtomicU64::new(0)) })
    }

    /// A new id, shaped as a version 4 UUID.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is where ids come from")]
            Source::Random => Uuid::new_v4(),
            Source::Counting { seed, last } => {
                let count = last.fetch_add(1, Ordering::Relaxed) + 1;
                Uuid::from_fields(*seed, 0, 0x4000, &(0x8000_0000_0000_0000 | count).to_be_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn noon() -> DateTime<Utc> {
        "2026-03-01T12:00:00.123456789Z".parse().unwrap()
    }

    #[test]
    fn a_manual_clock_stands_still_and_shows_microseconds() {
        let clock = Clock::manual(noon());
        assert_eq!(clock.now().to_rfc3339(), "2026-03-01T12:00:00.123456+00:00");
        assert_eq!(clock.now(), clock.real());
    }

    #[test]
    fn advancing_moves_the_service_but_not_the_world() {
        let clock = Clock::manual(noon());
        let (now, real) = (clock.now(), clock.real());
        assert_eq!(clock.clone().advance(HOUR), now + HOUR);
        assert_eq!((clock.now(), clock.real()), (now + HOUR, real));
        assert_eq!(clock.advance_real(HOUR), real + HOUR);
        assert_eq!((clock.now(), clock.real()), (now + 2 * HOUR, real + HOUR));
    }

    #[test]
    fn the_database_offset_moves_both_and_is_replaced() {
        let clock = Clock::manual(noon());
        let now = clock.now();
        clock.set_database_offset(TimeDelta::seconds(5));
        clock.set_database_offset(TimeDelta::seconds(-2));
        assert_eq!((clock.now(), clock.real()), (now - TimeDelta::seconds(2), now - TimeDelta::seconds(2)));
    }

    #[test]
    fn no_advance_is_too_large_or_leads_back() {
        let clock = Clock::manual(noon());
        for _ in 0..3 {
            assert_eq!(clock.advance(Duration::MAX).to_rfc3339(), "9999-12-31T23:59:59.999999+00:00");
        }
    }

    #[test]
    fn the_system_clock_is_cut_to_microseconds() {
        let clock = Clock::system();
        assert_eq!(clock.now().timestamp_subsec_nanos() % 1000, 0);
        assert!(clock.advance(HOUR) >= clock.real() + HOUR - TimeDelta::seconds(1));
    }

    #[test]
    fn counted_ids_repeat_and_random_ones_do_not() {
        let ids = Ids::counting(7);
        assert_eq!(ids.uuid().to_string(), "00000007-0000-4000-8000-000000000001");
        assert_eq!(ids.clone().uuid().to_string(), "00000007-0000-4000-8000-000000000002");
        assert_eq!(ids.uuid().get_version_num(), 4);
        assert_ne!(Ids::random().uuid(), Ids::random().uuid());
    }
}
