//! What can happen to sockets between real processes: cut wires, clients that do not read, kills, a frozen instance, a database that
//! goes away. A member becomes inactive when its grace period is over, and never earlier; whoever stays is told (N-40 to N-43, N-55).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use openmpsd::embedded::{EmbeddedOptions, EmbeddedPostgres};
use openmpsd::store::migrate;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::audience::{Member, active, all_know, count, counting, number, registering, until, until_active, view, write};
use crate::harness::session;
use crate::process::{Caller, Folder, Process, kill_server, private_url, servers_in};
use crate::replicas::{Replicas, processes};
use crate::rta_client::CONNECTIONS;

/// How soon whoever subscribed must know of a commit, whatever has happened to the hint.
const TOLD: Duration = Duration::from_secs(2);
/// What a timer may be late by on a busy machine, beside the pause between two sweeps.
const LATE: Duration = Duration::from_secs(5);

/// Quick sweeps, and a log that says what sockets and notifications do.
const COMMON: [(&str, &str); 2] = [
    ("OPENMPSD__TIMERS__SWEEP_INTERVAL_MS", "100"),
    ("OPENMPSD__TELEMETRY__FILTER", "info,openmpsd::notify=debug,openmpsd::rta=debug"),
];
const GRACE: &str = "OPENMPSD__TIMERS__GRACE_MS";
const PING: &str = "OPENMPSD__SOCKETS__PING_INTERVAL_MS";
const IDLE: &str = "OPENMPSD__SOCKETS__IDLE_MS";
const SEND: &str = "OPENMPSD__SOCKETS__SEND_TIMEOUT_MS";

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn variables<'a>(further: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&COMMON, further].concat()
}

fn xuids(members: &[Member]) -> Vec<u64> {
    members.iter().map(|member| member.caller.xuid).collect()
}

/// A wire to a service that can stop to carry anything, without being cut.
struct Wire {
    base: String,
    stalled: watch::Sender<bool>,
    carrying: JoinHandle<()>,
}

impl Wire {
    async fn to(base: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let (stalled, is_stalled) = watch::channel(false);
        let service = base.trim_start_matches("http://").to_owned();
        let carrying = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, service.clone(), is_stalled.clone()));
            }
        });
        Self { base: format!("http://{address}"), stalled, carrying }
    }

    fn stall(&self) {
        self.stalled.send_replace(true);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(mut client: TcpStream, service: String, mut stalled: watch::Receiver<bool>) {
    let Ok(mut service) = TcpStream::connect(service).await else { return };
    let is_stalled = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut service) => false,
        _ = stalled.wait_for(|stalled| *stalled) => true,
    };
    if is_stalled {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n40_m31_a_socket_cut_without_a_word_costs_the_grace_period() {
    let (grace, idle, ping) = (ms(1500), ms(1200), ms(400));
    let replicas = Replicas::with(1, &variables(&[(GRACE, "1500"), (IDLE, "1200"), (PING, "400")])).await;
    let base = &replicas.processes[0].base;
    let callers = replicas.callers(3);
    let wire = Wire::to(base).await;
    let watchers = [Member::open(&callers[0], base).await];
    let cut_off = Member::open(&callers[1], base).await;
    let unheard = Member::open(&callers[2], &wire.base).await;
    for member in watchers.iter().chain([&cut_off, &unheard]) {
        member.registers(base, "cut").await;
    }
    // Sockets that are idle and answer pings stay.
    sleep(idle + ping).await;
    unheard.is_well();
    let before = view(&callers[0], base, "cut").await;
    assert_eq!(active(&before), BTreeSet::from([1, 2, 3]));
    all_know(&watchers, "cut", number(&before), TOLD).await;

    let cut = Instant::now();
    drop(cut_off);
    all_know(&watchers, "cut", number(&before) + 1, TOLD).await;
    let lost = view(&callers[0], base, "cut").await;
    assert!(lost["nextTimer"].is_string(), "the grace period shows: {lost}");
    let (gone, after) = until_active(&callers[0], base, "cut", &[1, 3], grace + LATE).await;
    assert!(gone - cut >= grace, "inactive after {:?}", gone - cut);
    assert_eq!(number(&after), number(&before) + 2, "the loss, and the end of the grace period: {after}");
    all_know(&watchers, "cut", number(&after), TOLD).await;

    // This time nobody reads the session, so it is the sweeper's.
    let stalled = Instant::now();
    wire.stall();
    all_know(&watchers, "cut", number(&after) + 2, grace + idle + LATE).await;
    assert!(stalled.elapsed() + 2 * ping >= grace + idle, "inactive after {:?}", stalled.elapsed());
    assert_eq!(active(&view(&callers[0], base, "cut").await), BTreeSet::from([1]));
    watchers[0].is_well();
    drop((watchers, unheard));
    replicas.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n19_n55_clients_that_do_not_read_hold_up_nobody() {
    let limits = [(GRACE, "1000"), (IDLE, "2500"), (PING, "500"), (SEND, "500")];
    let replicas = Replicas::with(1, &variables(&limits)).await;
    let base = &replicas.processes[0].base;
    let callers = replicas.callers(10);
    let good = Member::open_all(&callers[..8], base).await;
    for member in &good {
        member.registers(base, "slow").await;
    }
    // One says nothing and reads nothing; the other asks for answers all the time and reads none of them.
    let mut silent = callers[8].socket(base).await;
    let connection = silent.connects().await;
    write(&callers[8], base, "slow", &registering(9, &connection, crate::audience::REMOVAL)).await;
    let mut talker = callers[9].socket(base).await;
    let connection = talker.connects().await;
    write(&callers[9], base, "slow", &registering(10, &connection, crate::audience::REMOVAL)).await;
    let talking = tokio::spawn(async move { talker.babbles().await });
    let (begun, mut written, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while begun.elapsed() < ms(4000) {
        written += 1;
        let document = write(&callers[written % 8], base, "slow", &counting(written as u64)).await;
        longest = longest.max(all_know(&good, "slow", number(&document), TOLD).await);
    }
    println!("{written} commits beside clients that do not read; the longest tap took {longest:?}");
    let (_, document) = until_active(&callers[0], base, "slow", &xuids(&good), LATE).await;
    all_know(&good, "slow", number(&document), TOLD).await;
    tokio::time::timeout(ms(20_000), talking).await.expect("the connection of the talker is cut").expect("it does not panic");
    let ending = async { while let Some(Ok(_)) = silent.stream.next().await {} };
    tokio::time::timeout(ms(10_000), ending).await.expect("the socket of the silent one is closed");
    let log = replicas.processes[0].log();
    // Of the talker the kernel may lose patience before the service does.
    let ends = ["whose client does not read principal.xuid=10", "a socket is gone principal.xuid=10"];
    assert!(ends.iter().any(|end| log.contains(end)), "no end of the talker is in the log:\n{log}");
    let silence = "dropping a socket whose client gave no sign of life principal.xuid=9";
    assert!(log.contains(silence), "{silence} is not in the log:\n{log}");
    good.iter().for_each(Member::is_well);
    drop(good);
    replicas.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n41_m34_two_hundred_return_at_once_and_nobody_loses_the_place() {
    let grace = ms(8000);
    let replicas = Replicas::with(1, &variables(&[(GRACE, "8000")])).await;
    let base = &replicas.processes[0].base;
    let callers = replicas.callers(200);
    let name = |xuid: u64| format!("back-{}", xuid % 4);
    let join = async |members: &[Member]| {
        join_all(members.iter().map(|member| async { member.registers(base, &name(member.caller.xuid)).await })).await;
    };
    let first = Member::open_all(&callers, base).await;
    join(&first).await;
    let cut = Instant::now();
    let mut ids: BTreeSet<String> = first.iter().map(|member| member.connection.clone()).collect();
    drop(first);
    // One of each session stays away.
    let second = Member::open_all(&callers[4..], base).await;
    join(&second).await;
    let took = cut.elapsed();
    println!("196 reconnects and registrations took {took:?}");
    assert!(took < grace, "{took:?} is too slow for this test");
    ids.extend(second.iter().map(|member| member.connection.clone()));
    assert_eq!(ids.len(), 396, "N-41: every socket has an id of its own");
    for one in 1..=4 {
        let expected: Vec<u64> = (5..=200).filter(|xuid| xuid % 4 == one % 4).collect();
        let (gone, document) = until_active(&callers[4], base, &name(one), &expected, grace + LATE).await;
        assert!(gone - cut >= grace, "{one} became inactive after {:?}", gone - cut);
        let members: Vec<u64> = expected.iter().copied().chain([one]).collect();
        assert_eq!(document["members"].as_object().map(serde_json::Map::len), Some(members.len()));
    }
    // Longer than anybody's grace period could have begun.
    sleep((cut + took + grace + ms(500)).saturating_duration_since(Instant::now())).await;
    let mut second = second;
    for one in 1..=4 {
        let group: Vec<Member> = second.extract_if(.., |member| member.caller.xuid % 4 == one % 4).collect();
        let document = write(&group[0].caller, base, &name(one), &counting(1)).await;
        assert_eq!(active(&document).len(), 49, "{document}");
        all_know(&group, &name(one), number(&document), TOLD).await;
        group.iter().for_each(Member::is_well);
    }
    replicas.end().await;
}

/// How long after the first search for the members of a lost connection there is another.
const SECOND_SEARCH: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n43_a_killed_service_gives_everybody_the_grace_period_and_ends_it_once() {
    let (grace, settings) = (ms(4000), variables(&[(GRACE, "4000")]));
    let folder = Folder::new("restart");
    let start = async || Process::start(folder.path(), &[], &settings).await.unwrap_or_else(|said| panic!("{said}"));
    let mut service = start().await;
    let callers = Caller::many(&folder, 500);
    // Sessions of 50; from every fifth one members are removed as soon as they are inactive, and it ends with the last.
    let names: Vec<String> = (0..10).map(|number| format!("restart-{number}")).collect();
    let group = |at: usize| &callers[at * 50..(at + 1) * 50];
    let removal = |at: usize| if at.is_multiple_of(5) { 0 } else { crate::audience::REMOVAL };
    let begun = Instant::now();
    let base = service.base.clone();
    let joining = (0..10).map(async |at| {
        let members = Member::open_all(group(at), &base).await;
        let body = |one: &Member| registering(one.caller.xuid, &one.connection, removal(at));
        join_all(members.iter().map(|one| async { write(&one.caller, &base, &names[at], &body(one)).await })).await;
        members
    });
    let members = join_all(joining).await;
    let reading = join_all((0..10).map(|at| view(&group(at)[0], &base, &names[at]))).await;
    println!("500 members joined in {:?}", begun.elapsed());
    assert_eq!(reading.iter().map(|document| active(document).len()).sum::<usize>(), 500);

    service.kill().await;
    drop(members);
    let killed = Instant::now();
    service = start().await;
    let listens = Instant::now();
    println!("it listens again after {:?}", listens - killed);
    let base = service.base.clone();
    // Three of one session come back in time.
    let back = Member::open_all(&group(1)[..3], &base).await;
    for member in &back {
        member.registers(&base, &names[1]).await;
    }
    let ending = (0..10).map(async |at| {
        let left: &[u64] = if at == 1 { &xuids(&back) } else { &[] };
        until_active(&group(at)[0], &base, &names[at], left, grace + LATE).await
    });
    let ended = join_all(ending).await;
    for (at, (when, _)) in ended.iter().enumerate() {
        assert!(*when - killed >= grace, "{} lost its members {:?} after the start", names[at], *when - killed);
    }
    let last = ended.iter().map(|(when, _)| *when - listens).max();
    println!("everybody was inactive {last:?} after it listened");
    sleep((listens + SECOND_SEARCH + ms(1500)).saturating_duration_since(Instant::now())).await;

    let url = private_url(folder.path());
    for (at, before) in reading.iter().enumerate() {
        let document = view(&group(at)[0], &base, &names[at]).await;
        assert_eq!(document, ended[at].1, "nothing follows");
        let sid = before["correlationId"].as_str().expect("it has an id");
        let since = format!("from changes where sid = '{sid}' and change_number > {}", number(before));
        let changes = count(&url, &format!("select count(*) {since}")).await;
        // The loss and the end of the grace period, whoever came back in between.
        let expected = if at == 1 { 2 + 3 } else { 2 };
        assert_eq!(changes, expected, "changes of {}\n{}", names[at], service.log());
        let departed = count(&url, &format!("select coalesce(sum((length(departed) - length(replace(departed, '6a1d9c3e-0f4b', ''))) / 13), 0)::bigint {since}")).await;
        assert_eq!(departed, if removal(at) == 0 { 50 } else { 0 }, "members that left {}", names[at]);
        assert_eq!(document.is_null(), removal(at) == 0, "{document}");
    }
    back.iter().for_each(Member::is_well);
    drop(back);
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");
}

/// How long it takes at most until an instance is given up that was killed.
const DETECTED: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n43_n55_of_two_instances_one_is_killed_and_only_its_members_go() {
    let grace = ms(2000);
    let mut replicas = Replicas::with(2, &variables(&[(GRACE, "2000")])).await;
    let bases: Vec<String> = replicas.processes.iter().map(|process| process.base.clone()).collect();
    let callers = replicas.callers(13);
    let doomed = Member::open_all(&callers[..6], &bases[0]).await;
    let staying = Member::open_all(&callers[6..12], &bases[1]).await;
    // Whoever has the socket here writes there.
    join_all(doomed.iter().map(|member| member.registers(&bases[1], "split"))).await;
    join_all(staying.iter().map(|member| member.registers(&bases[0], "split"))).await;
    for (count, base) in [&bases[0], &bases[1], &bases[0], &bases[1]].into_iter().enumerate() {
        let document = write(&callers[count], base, "split", &counting(count as u64)).await;
        let here = all_know(&doomed, "split", number(&document), TOLD).await;
        let there = all_know(&staying, "split", number(&document), TOLD).await;
        println!("a tap took {here:?} and {there:?}");
    }
    // Killed in the middle of writes: what it committed last, it told nobody.
    let (base, path) = (bases[0].clone(), session("Open", "split"));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let writing = join_all(callers[..4].iter().cloned().map(|caller| {
        let (base, path, acknowledged) = (base.clone(), path.clone(), Arc::clone(&acknowledged));
        async move {
            for count in 0.. {
                let Some(reply) = caller.put(&base, &path, &counting(count)).await else { return };
                acknowledged.fetch_max(reply.body["changeNumber"].as_u64().unwrap_or_default(), Ordering::SeqCst);
            }
        }
    }));
    let kill = async {
        sleep(ms(300)).await;
        replicas.processes[0].kill().await;
        Instant::now()
    };
    let (killed, _) = tokio::join!(kill, writing);
    let document = view(&callers[6], &bases[1], "split").await;
    assert!(number(&document) >= acknowledged.load(Ordering::SeqCst), "an acknowledged write is lost");
    let took = all_know(&staying, "split", number(&document), TOLD).await;
    println!("{} changes at the kill; the rest knew of the last after {took:?}", number(&document));
    assert_eq!(active(&document).len(), 12);

    let (gone, after) = until_active(&callers[6], &bases[1], "split", &xuids(&staying), DETECTED + grace + LATE).await;
    println!("the members of the killed instance were inactive after {:?}", gone - killed);
    assert!(gone - killed >= grace, "inactive after {:?}", gone - killed);
    all_know(&staying, "split", number(&after), TOLD).await;
    assert_eq!(number(&after), number(&document) + 2, "the loss and the end of the grace period, each once: {after}");
    // Whoever comes by now sees it the same way, and the one that is left still works.
    let document = write(&callers[12], &bases[1], "split", &counting(0)).await;
    assert_eq!(number(&document), number(&after) + 1);
    all_know(&staying, "split", number(&document), TOLD).await;
    staying.iter().for_each(Member::is_well);
    drop((doomed, staying));
    replicas.processes.remove(0);
    replicas.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n43_n55_an_instance_that_stood_still_loses_nobody_and_no_tap() {
    // It stands still for many times as long as sockets may be silent.
    let (grace, frozen) = (ms(1500), ms(20_000));
    let replicas = Replicas::with(2, &variables(&[(GRACE, "1500"), (IDLE, "4000"), (PING, "1000")])).await;
    let bases: Vec<String> = replicas.processes.iter().map(|process| process.base.clone()).collect();
    let callers = replicas.callers(13);
    let names = ["frozen-0", "frozen-1", "frozen-2"];
    let still = Member::open_all(&callers[..6], &bases[0]).await;
    let moving = Member::open_all(&callers[6..12], &bases[1]).await;
    for name in names {
        join_all(still.iter().chain(&moving).map(|member| member.registers(&member.base, name))).await;
    }
    // It is caught in the middle of writes of its own.
    let done = Arc::new(AtomicBool::new(false));
    let hanging: Vec<_> = (0..3)
        .map(|at| tokio::spawn(keep_writing(callers[at].clone(), bases[0].clone(), names[at], Arc::clone(&done), ms(20))))
        .collect();
    sleep(ms(300)).await;
    replicas.processes[0].signal(Signal::SIGSTOP);
    done.store(true, Ordering::SeqCst);
    let stopped = Instant::now();
    let mut numbers = [0; 3];
    for round in 0.. {
        if stopped.elapsed() >= frozen {
            break;
        }
        for (at, name) in names.into_iter().enumerate() {
            let document = write(&callers[6 + at], &bases[1], name, &counting(round)).await;
            assert_eq!(active(&document).len(), 12, "after {:?}: {document}", stopped.elapsed());
            numbers[at] = number(&document);
            all_know(&moving, name, numbers[at], TOLD).await;
        }
        sleep(ms(400)).await;
    }
    replicas.processes[0].signal(Signal::SIGCONT);
    let resumed = Instant::now();
    for (name, number) in names.into_iter().zip(numbers) {
        all_know(&still, name, number, TOLD.saturating_sub(resumed.elapsed())).await;
    }
    println!("after it went on, all knew within {:?}", resumed.elapsed());
    for one in hanging {
        one.await.expect("requests that hung are answered");
    }
    // As long as it would take until it was given up, or its sockets were, and the grace period on top.
    sleep(ms(4500) + grace).await;
    for name in names {
        let document = write(&callers[0], &bases[0], name, &counting(0)).await;
        assert_eq!(active(&document).len(), 12, "{document}");
        for members in [&still, &moving] {
            all_know(members, name, number(&document), TOLD).await;
        }
    }
    still.iter().chain(&moving).for_each(Member::is_well);
    let lost = count(replicas.database.url(), "select count(*) from connections where lost_at is not null").await;
    assert_eq!(lost, 0, "connections that are taken for lost");
    drop((still, moving));
    replicas.end().await;
}

/// Both write to one session, so that each locks it now and then; one stands still while it has the lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n43_an_instance_that_stands_still_keeps_no_session_to_itself() {
    let settings = [("OPENMPSD__DATABASE__STATEMENT_TIMEOUT_MS", "4000")];
    let replicas = Replicas::with(2, &variables(&settings)).await;
    let bases: Vec<String> = replicas.processes.iter().map(|process| process.base.clone()).collect();
    let callers = replicas.callers(7);
    for caller in &callers {
        write(caller, &bases[0], "held", &registering(caller.xuid, NOBODY, crate::audience::REMOVAL)).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let writing: Vec<_> = (0..6)
        .map(|at| {
            tokio::spawn(keep_writing(callers[at].clone(), bases[at % 2].clone(), "held", Arc::clone(&done), Duration::ZERO))
        })
        .collect();
    let held = "select count(*) from pg_stat_activity a join pg_locks l on l.pid = a.pid \
        where a.datname = current_database() and a.state = 'idle in transaction' and now() - a.state_change > interval '80 ms' \
            and l.relation = 'sessions'::regclass and l.mode = 'RowShareLock' and l.granted";
    let mut tries = 0;
    loop {
        replicas.processes[0].signal(Signal::SIGSTOP);
        sleep(ms(120)).await;
        if count(replicas.database.url(), held).await > 0 {
            break;
        }
        replicas.processes[0].signal(Signal::SIGCONT);
        tries += 1;
        assert!(tries < 400, "it was never seen with a lock");
        sleep(ms(10 + tries % 17)).await;
    }
    let begun = Instant::now();
    write(&callers[6], &bases[1], "held", &counting(7)).await;
    let waited = begun.elapsed();
    println!("caught with a lock at try {tries}; the other one could write after {waited:?}");
    replicas.processes[0].signal(Signal::SIGCONT);
    done.store(true, Ordering::SeqCst);
    for one in writing {
        one.await.expect("a writer is answered well");
    }
    assert!(waited < ms(4000 + 2500), "the session was held for {waited:?}");
    let (one, other) = (view(&callers[0], &bases[0], "held").await, view(&callers[0], &bases[1], "held").await);
    assert_eq!(one, other);
    replicas.end().await;
}

/// A connection id that nobody has.
const NOBODY: &str = "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01";

/// The others forget an instance, as they do when it was still for too long: it begins anew, and whoever has a socket there returns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n43_an_instance_that_was_taken_for_dead_sends_its_members_to_return() {
    let grace = ms(6000);
    let replicas = Replicas::with(2, &variables(&[(GRACE, "6000")])).await;
    let bases: Vec<String> = replicas.processes.iter().map(|process| process.base.clone()).collect();
    let callers = replicas.callers(6);
    let forgotten = Member::open_all(&callers[..4], &bases[0]).await;
    let staying = Member::open_all(&callers[4..], &bases[1]).await;
    join_all(forgotten.iter().chain(&staying).map(|member| member.registers(&member.base, "dead"))).await;
    let url = replicas.database.url();
    let bury = "with over as (delete from instances where id = (select instance from connections where xuid = 1) returning id), \
        lost as (update connections c set lost_at = now(), check_at = now() from over where c.instance = over.id returning c.id) \
        select count(*) from lost";
    let buried = Instant::now();
    assert_eq!(count(url, bury).await, 4);
    until("its sockets are closed", ms(8000), async || {
        let open = forgotten.iter().filter(|member| !member.end().is_some_and(|end| end.contains("1001"))).count();
        if open == 0 { Ok(()) } else { Err(format!("{open} are open")) }
    })
    .await;
    println!("its sockets were closed after {:?}", buried.elapsed());
    drop(forgotten);
    // Three return, to the same instance; one does not.
    let back = Member::open_all(&callers[..3], &bases[0]).await;
    for member in &back {
        let document = member.registers(&bases[0], "dead").await;
        assert_eq!(active(&document).len(), 6, "{document}");
    }
    let (gone, document) = until_active(&callers[4], &bases[1], "dead", &[1, 2, 3, 5, 6], grace + LATE).await;
    assert!(gone - buried >= grace, "inactive after {:?}", gone - buried);
    for members in [&back, &staying] {
        all_know(members, "dead", number(&document), TOLD).await;
    }
    let living = "select count(*) from connections c join instances i on i.id = c.instance where c.lost_at is null";
    assert_eq!(count(url, living).await, 5, "connections that live");
    back.iter().chain(&staying).for_each(Member::is_well);
    drop((back, staying));
    replicas.end().await;
}

/// Two processes over a database of their own that can be taken away.
struct Outage {
    folder: Folder,
    postgres: EmbeddedPostgres,
    url: String,
    processes: Vec<Process>,
    keys: Vec<Folder>,
}

impl Outage {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new("gone");
        let options = EmbeddedOptions {
            data_dir: folder.path().to_owned(),
            binaries: None,
            durable: true,
            max_connections: 100,
            extra: Vec::new(),
        };
        let postgres = EmbeddedPostgres::start(options).await.expect("the cluster starts");
        let url = postgres.connection().url();
        migrate::migrate(&url).await.expect("the migrations run");
        let (processes, keys) = processes(&url, 2, settings).await;
        Self { folder, postgres, url, processes, keys }
    }

    /// Strikes the database.
    fn strike(&self, blow: Blow) {
        let servers = servers_in(&self.folder.path().join("pg"));
        let first = *servers.first().expect("PostgreSQL runs");
        match blow {
            Blow::Backend => kill_server(*servers.last().expect("it has backends")),
            Blow::Stop => nix::sys::signal::kill(first, Signal::SIGINT).expect("it is ours"),
            Blow::Kill => kill_server(first),
        }
    }

    async fn end(self) {
        for process in self.processes {
            let (status, _) = process.end().await;
            assert!(status.success(), "{status}");
        }
        self.postgres.stop().await;
        drop((self.folder, self.keys));
    }
}

/// How a database goes away.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// One of its processes is killed: it ends all connections and recovers, at once.
    Backend,
    /// It is stopped in good order, and started again a second later.
    Stop,
    /// It is killed, and started again two seconds later.
    Kill,
}

/// Writes to a session through one process, again and again; each time it is done, or told to be patient.
async fn keep_writing(caller: Caller, base: String, name: &'static str, done: Arc<AtomicBool>, pause: Duration) {
    for number in 0.. {
        if done.load(Ordering::SeqCst) {
            return;
        }
        let reply = caller.put(&base, &session("Open", name), &counting(number)).await.expect("it answers");
        assert!(matches!(reply.status, 200 | 503), "{reply:?}");
        sleep(pause).await;
    }
}

const SESSIONS: [&str; 3] = ["gone-0", "gone-1", "gone-2"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n40_n55_the_database_goes_away_and_nobody_is_forgotten() {
    let grace = ms(2000);
    let outage = Outage::start(&variables(&[(GRACE, "2000")])).await;
    let bases: Vec<String> = outage.processes.iter().map(|process| process.base.clone()).collect();
    let callers = Caller::many(&outage.keys[0], 20);
    let members = [Member::open_all(&callers[..4], &bases[0]).await, Member::open_all(&callers[4..8], &bases[1]).await];
    for name in SESSIONS {
        join_all(members.iter().flatten().map(|member| member.registers(&member.base, name))).await;
    }
    for (round, blow) in [Blow::Backend, Blow::Stop, Blow::Kill].into_iter().enumerate() {
        let leaver = Member::open(&callers[8 + round], &bases[round % 2]).await;
        leaver.registers(&bases[round % 2], SESSIONS[0]).await;
        let latecomer = &callers[12 + round];
        let mut early = latecomer.socket(&bases[round % 2]).await;
        let done = Arc::new(AtomicBool::new(false));
        let writing: Vec<_> = (0..6)
            .map(|at| (callers[at].clone(), bases[at % 2].clone(), SESSIONS[at / 2], Arc::clone(&done)))
            .map(|(caller, base, name, done)| tokio::spawn(keep_writing(caller, base, name, done, ms(20))))
            .collect();
        sleep(ms(300)).await;
        outage.strike(blow);
        let struck = Instant::now();
        // Meanwhile one is cut off and another one asks for a connection id.
        drop(leaver);
        let answer = early.asks(CONNECTIONS).await;
        assert!(matches!(answer[2].as_u64(), Some(0 | 1001 | 1002)), "N-67: {answer}");
        until("PostgreSQL takes connections again", ms(20_000), async || {
            let back = outage.postgres.is_running() && tokio_postgres::connect(&outage.url, tokio_postgres::NoTls).await.is_ok();
            if back { Ok(()) } else { Err("it does not".to_owned()) }
        })
        .await;
        let back = Instant::now();
        // What is written last is written through one process, and never again.
        done.store(true, Ordering::SeqCst);
        for one in writing {
            one.await.expect("a writer is answered well");
        }
        let wrote = back.elapsed();
        let mut told = Duration::ZERO;
        for name in SESSIONS {
            let document = view(&callers[0], &bases[0], name).await;
            assert!(active(&document).is_superset(&(1..=8).collect()), "after {blow:?}: {document}");
            for (members, process) in members.iter().zip(&outage.processes) {
                assert!(members.iter().all(|member| member.end().is_none()), "sockets ended:\n{}", process.log());
                told = told.max(all_know(members, name, number(&document), TOLD).await);
            }
        }
        println!(
            "{blow:?}: back after {:?}, the last write answered {wrote:?} later, told after another {told:?}",
            back - struck
        );
        let (gone, document) = until_active(&callers[0], &bases[0], SESSIONS[0], &[1, 2, 3, 4, 5, 6, 7, 8], grace + LATE).await;
        assert!(gone - struck >= grace, "whoever was cut off became inactive after {:?}", gone - struck);
        for members in &members {
            all_know(members, SESSIONS[0], number(&document), TOLD).await;
        }
        let connection = if answer[2] == 0 { answer[4]["ConnectionId"].clone() } else { early_connection(&mut early).await };
        let late = [Member::over(latecomer, &bases[round % 2], early, connection.as_str().expect("it is text").to_owned())];
        let document = late[0].registers(&bases[1 - round % 2], SESSIONS[1]).await;
        all_know(&late, SESSIONS[1], number(&document), TOLD).await;
    }
    members.iter().flatten().for_each(Member::is_well);
    until("the members' connections live, and no others", LATE, async || {
        let living = count(&outage.url, "select count(*) from connections where lost_at is null").await;
        if living == 8 { Ok(()) } else { Err(format!("{living} live")) }
    })
    .await;
    drop(members);
    outage.end().await;
}

/// A socket that was told to be patient gets its connection id when it asks again.
async fn early_connection(socket: &mut crate::rta_client::Socket) -> Value {
    let answer = socket.asks(CONNECTIONS).await;
    assert_eq!(answer[2], 0, "{answer}");
    answer[4]["ConnectionId"].clone()
}
