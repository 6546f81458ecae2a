//! A run from its first request to what is known at its end.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use chrono::{DateTime, Utc};
use openmpsd::ambient::{Clock, Ids};
use tokio::signal::ctrl_c;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use crate::cli::{Cli, Scenario};
use crate::client::{Link, Outgoing, Reply};
use crate::measure::{Measured, Recorder};
use crate::progress;
use crate::scenarios;
use crate::tokens::{Identity, identities};
use crate::user::{Pace, User};
use crate::world::{Assembly, Ear, Templates, World};

/// How long taps are waited for that are under way at the end.
const LAST_TAPS: Duration = Duration::from_secs(5);
/// How long reading back may take.
const READING_BACK: Duration = Duration::from_secs(30);

/// What is known at the end.
pub struct Run {
    /// Stands in the names that this run made.
    pub name: String,
    pub started_at: DateTime<Utc>,
    /// From the first request to the end of the load.
    pub lasted: Duration,
    pub interrupted: bool,
    /// Requests that were due by the schedule and not sent.
    pub unsent: u64,
    pub measured: Measured,
}

/// When the load ended.
#[derive(Debug, Clone, Copy)]
struct End {
    at: Instant,
    interrupted: bool,
}

/// Runs the scenario.
///
/// # Errors
/// When it cannot take place.
pub async fn run(cli: &Cli) -> anyhow::Result<Run> {
    let id = Ids::random().uuid();
    let name = id.simple().to_string()[..8].to_owned();
    let users = identities(cli, u32::from_str_radix(&name[..5], 16)?)?;
    let links: anyhow::Result<Vec<Arc<Link>>> =
        cli.targets.iter().map(|target| Link::new(target.clone(), cli.timeout).map(Arc::new)).collect();
    let links = links?;
    for link in &links {
        look(cli, link, &users[0]).await?;
    }
    announce(cli, &name);
    let started_at = Clock::system().real();
    let begun = Instant::now();
    let world = Arc::new(world(cli, name.clone(), links, users, begun));
    let ended = Arc::new(Mutex::new(None));
    let watching = tokio::spawn(progress::tell(Arc::clone(&world), cli.progress, io::stderr().is_terminal()));
    let timer = tokio::spawn(end_in_time(Arc::clone(&world), begun + cli.duration, Arc::clone(&ended)));
    let unsent = everybody(cli, &world, begun, &ended).await;
    timer.abort();
    let end = ended.lock().expect("nobody panics here").unwrap_or(End { at: Instant::now(), interrupted: false });
    let _ = watching.await;
    world.recorder.missed(world.invites.outstanding());
    let lasted = end.at.saturating_duration_since(begun);
    Ok(Run { name, started_at, lasted, interrupted: end.interrupted, unsent, measured: world.recorder.finish() })
}

/// One read of each target before anything else: is it there, does it take our credential, does it know the templates?
async fn look(cli: &Cli, link: &Link, user: &Identity) -> anyhow::Result<()> {
    let base = &link.target.base;
    let path = format!("/serviceconfigs/{}/sessiontemplates", cli.scid);
    let outgoing = Outgoing { method: "GET", path: &path, authorization: &user.authorization, body: None, only_if_there: false };
    let reply = link.send(outgoing).await;
    let status = match &reply {
        Reply::Broken(why) => bail!("{base} cannot be reached ({why}): is the service running, and is this its address?"),
        Reply::Answered { status, .. } => *status,
    };
    match status {
        200 => {}
        401 => {
            bail!("{base} refuses the credential (401): give the --data-dir of this very service, or --tokens that it believes")
        }
        404 => bail!("{base} does not know the service config {} (404): name one of its own with --scid", cli.scid),
        status => bail!("{base} answers {status} to GET {path}: expected 200 with the names of the templates"),
    }
    let answer = reply.json();
    let known = |name: &str| {
        let results = answer["results"].as_array().into_iter().flatten();
        results.filter_map(|known| known.as_str()).any(|known| known.eq_ignore_ascii_case(name))
    };
    for (flag, name) in [
        ("--lobby-template", &cli.lobby_template),
        ("--listed-template", &cli.listed_template),
        ("--crowd-template", &cli.crowd_template),
    ] {
        ensure!(known(name), "{base} has no template {name} in {}: name another with {flag}", cli.scid);
    }
    Ok(())
}

/// Says what will be loaded, by how many, for how long.
fn announce(cli: &Cli, name: &str) {
    let targets: Vec<&str> = cli.targets.iter().map(|target| target.base.as_str()).collect();
    let how = match cli.rate {
        Some(rate) => format!("{rate} requests per second on schedule"),
        None => "each asking again when answered".to_owned(),
    };
    eprintln!(
        "{} of {} users, {how}, for {:?} against {} (run {name}; Ctrl-C ends it with a report)",
        cli.scenario,
        cli.users,
        cli.duration,
        targets.join(", "),
    );
}

fn world(cli: &Cli, run: String, links: Vec<Arc<Link>>, identities: Vec<Identity>, begun: Instant) -> World {
    let count = identities.len();
    World {
        scenario: cli.scenario,
        large: cli.large,
        scid: cli.scid.to_string(),
        title_id: cli.title_id.to_string(),
        templates: Templates {
            lobby: cli.lobby_template.clone(),
            listed: cli.listed_template.clone(),
            crowd: cli.crowd_template.clone(),
        },
        run,
        links,
        identities,
        recorder: Recorder::new(begun),
        board: Mutex::default(),
        invites: Arc::default(),
        ears: (0..count).map(|_| Ear::default()).collect(),
        assembly: Assembly::new(count),
        over: watch::Sender::new(false),
        enough: watch::Sender::new(false),
    }
}

/// Has everybody go on until the run is over, and read back what was acknowledged. Says how many requests were due and not sent.
async fn everybody(cli: &Cli, world: &Arc<World>, begun: Instant, ended: &Mutex<Option<End>>) -> u64 {
    let count = world.identities.len();
    let mut users = JoinSet::new();
    for number in 0..count {
        let start = begun + share(cli.ramp_up, number, count);
        let pace = cli.rate.map(|rate| pace(rate, start, number, count));
        let mut user = User::new(number, Arc::clone(world), cli.seed, pace);
        users.spawn(async move {
            if user.rest(start.saturating_duration_since(Instant::now())).await.is_ok() || waits_for_all(&user) {
                scenarios::go(&mut user).await;
            }
            user
        });
    }
    let users = users.join_all().await;
    let end = ended.lock().expect("nobody panics here").get_or_insert_with(|| End { at: Instant::now(), interrupted: false }).at;
    // Unless it is already: users may be through before their time.
    world.over.send_replace(true);
    let unsent = users.iter().map(|user| user.unsent(end)).sum();
    // Sockets stay open until the last taps have come.
    let last_taps = async {
        while world.invites.outstanding() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let mut enough = world.enough.subscribe();
    tokio::select! {
        _ = timeout(LAST_TAPS, last_taps) => {}
        _ = enough.wait_for(|enough| *enough) => {}
    }
    world.links.iter().for_each(|link| link.begin_anew());
    let mut finishing = JoinSet::new();
    for user in users {
        finishing.spawn(user.finish());
    }
    read_back(finishing, world, READING_BACK, cli.progress).await;
    unsent
}

/// Waits for everybody who reads back, and tells now and then how far they are. After `most` it is enough.
async fn read_back(mut finishing: JoinSet<()>, world: &World, most: Duration, every: Duration) {
    let count = finishing.len();
    let late = sleep(most);
    tokio::pin!(late);
    let mut ticks = interval(every);
    ticks.tick().await;
    let mut is_late = false;
    loop {
        tokio::select! {
            done = finishing.join_next() => match done {
                Some(done) => done.expect("a user does not panic"),
                None => return,
            },
            () = &mut late, if !is_late => {
                is_late = true;
                eprintln!("reading back has taken {most:?}: what is left counts as unread");
                world.enough.send_replace(true);
            }
            _ = ticks.tick() => eprintln!("{} of {count} users have read back what was acknowledged", count - finishing.len()),
        }
    }
}

/// In a stampede everybody waits for everybody, also for those whose turn had not come when the run was ended.
fn waits_for_all(user: &User) -> bool {
    user.world.scenario == Scenario::ReconnectStampede
}

/// The part of `whole` that has passed when it is this one's turn.
fn share(whole: Duration, number: usize, count: usize) -> Duration {
    let (number, count) = (u32::try_from(number).unwrap_or(0), u32::try_from(count).unwrap_or(1));
    whole * number / count.max(1)
}

/// A user's part of the schedule: all users together send at the rate, evenly.
fn pace(rate: f64, start: Instant, number: usize, count: usize) -> Pace {
    let users = u32::try_from(count).unwrap_or(1);
    let interval = Duration::from_secs_f64(f64::from(users) / rate);
    Pace { next: start + share(interval, number, count), interval }
}

/// Ends the run at its time, or when somebody presses Ctrl-C. Once it has ended, Ctrl-C ends reading back, and once more everything.
async fn end_in_time(world: Arc<World>, end: Instant, ended: Arc<Mutex<Option<End>>>) {
    let mut over = world.over.subscribe();
    let interrupted = tokio::select! {
        () = tokio::time::sleep_until(end.into()) => false,
        _ = over.wait_for(|over| *over) => false,
        _ = ctrl_c() => true,
    };
    ended.lock().expect("nobody panics here").get_or_insert_with(|| End { at: Instant::now(), interrupted });
    world.over.send_replace(true);
    if interrupted {
        eprintln!("\nending; once more to read nothing back");
    }
    if ctrl_c().await.is_ok() {
        eprintln!("\nnothing more is read back; once more to leave at once, without a report");
        world.enough.send_replace(true);
    }
    if ctrl_c().await.is_ok() {
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reading_back_ends_in_time() {
        let world = World::alone();
        let mut enough = world.enough.subscribe();
        let mut finishing = JoinSet::new();
        finishing.spawn(async move { enough.wait_for(|enough| *enough).await.map(drop).unwrap() });
        read_back(finishing, &world, Duration::ZERO, Duration::from_hours(1)).await;
        assert!(*world.enough.borrow());
    }

    #[test]
    fn the_schedule_is_even() {
        let start = Instant::now();
        let paces: Vec<Pace> = (0..4).map(|number| pace(8.0, start, number, 4)).collect();
        let firsts: Vec<Duration> = paces.iter().map(|pace| pace.next - start).collect();
        assert_eq!(firsts, [0, 125, 250, 375].map(Duration::from_millis));
        assert!(paces.iter().all(|pace| pace.interval == Duration::from_millis(500)));
        assert_eq!(share(Duration::from_secs(10), 3, 4), Duration::from_millis(7500));
    }
}
