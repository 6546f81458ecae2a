//! The line that tells how the run goes, every few seconds; on a terminal always the same line.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::measure::Glance;
use crate::world::World;

/// Tells until the run is over.
pub async fn tell(world: Arc<World>, every: Duration, is_terminal: bool) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    let mut over = world.over.subscribe();
    let mut last = Duration::ZERO;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = over.wait_for(|over| *over) => break,
        }
        let glance = world.recorder.glance();
        let line = line(&glance, glance.elapsed.saturating_sub(last));
        last = glance.elapsed;
        if is_terminal {
            eprint!("\r\x1b[K{line}");
        } else {
            eprintln!("{line}");
        }
    }
    let line = "the load has ended; everybody reads back what was acknowledged, and leaves";
    let before = if is_terminal { "\r\x1b[K" } else { "" };
    eprintln!("{before}{line}");
}

#[expect(clippy::cast_precision_loss, reason = "counts of seconds fit")]
fn line(glance: &Glance, span: Duration) -> String {
    let rate = |count: u64| count as f64 / span.as_secs_f64().max(0.001);
    let ms = |percent| glance.times.percentile_ms(percent).map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"));
    format!(
        "{:4} s  {:7.0} requests/s  p50 {}  p99 {}  {} errors  {} throttled  {:.0} taps/s",
        glance.elapsed.as_secs(),
        rate(glance.requests),
        ms(50.0),
        ms(99.0),
        glance.errors,
        glance.throttled,
        rate(glance.taps)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rates_of_its_own_span() {
        let mut glance = Glance { requests: 300, errors: 2, elapsed: Duration::from_secs(9), taps: 20, ..Glance::default() };
        let span = Duration::from_secs(2);
        assert_eq!(line(&glance, span), "   9 s      150 requests/s  p50 –  p99 –  2 errors  0 throttled  10 taps/s");
        glance.times.add(Duration::from_millis(4));
        assert!(line(&glance, span).contains("p50 4.0 ms"));
    }
}
