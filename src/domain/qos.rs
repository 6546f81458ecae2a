//! The quality of connections between the members of an episode: who reaches whom, who would make a good host, and who fails (M-61
//! to M-64, M-70).
//!
//! Members upload what they measured of each other, keyed by device token. A metric that is missing means "not reachable". The
//! members that count are those of the episode that have not failed, and those who were accepted before and have not failed either.
//! Only members of the episode can fail.

use std::sync::Arc;

use super::initialization::Failure;
use super::names::MemberIndex;
use super::session::{Member, Session};
use crate::json::Json;

/// What one member has to measure of another.
#[derive(Debug, Clone, Copy)]
struct Demands {
    latency: u64,
    down: u64,
    up: u64,
}

/// A member that counts, with its device token.
struct Peer<'a> {
    member: &'a Member,
    token: Option<String>,
    /// Whether it belongs to the episode, and so can fail.
    new: bool,
}

impl Demands {
    fn to_peers(session: &Session) -> Option<Self> {
        let demands = session.constants.system.get("peerToPeerRequirements")?;
        let bandwidth = number(demands, "bandwidthMinimum")?;
        Some(Self { latency: number(demands, "latencyMaximum")?, down: bandwidth, up: bandwidth })
    }

    fn to_host(session: &Session) -> Option<Self> {
        let demands = session.constants.system.get("peerToHostRequirements")?;
        Some(Self {
            latency: number(demands, "latencyMaximum")?,
            down: number(demands, "bandwidthDownMinimum")?,
            up: number(demands, "bandwidthUpMinimum")?,
        })
    }

    /// The first metric that one peer's measurement of another does not meet (M-61); `None` when all are met.
    fn unmet(self, from: &Peer, to: &Peer) -> Option<Failure> {
        let Some(entry) = from.measured(to) else { return Some(Failure::Latency) };
        let meets = |name: &str, test: &dyn Fn(u64) -> bool| number(entry, name).is_some_and(test);
        if !meets("latency", &|latency| latency <= self.latency) {
            Some(Failure::Latency)
        } else if !meets("bandwidthDown", &|down| down >= self.down) {
            Some(Failure::BandwidthDown)
        } else if !meets("bandwidthUp", &|up| up >= self.up) {
            Some(Failure::BandwidthUp)
        } else {
            None
        }
    }
}

impl Peer<'_> {
    /// What this member measured of another.
    fn measured(&self, other: &Peer) -> Option<&Json> {
        self.member.properties.system.get("measurements")?.get(other.token.as_deref()?)
    }
}

fn number(fields: &Json, name: &str) -> Option<u64> {
    fields.get(name)?.as_u64()
}

fn peers(session: &Session, episode: u32) -> Vec<Peer<'_>> {
    let counts = |member: &Member| {
        member.failure.is_none() && member.state.is_accepted() && member.episode.is_none_or(|own| own == episode)
    };
    let peer = |member| Peer { token: Member::device_token(member), new: member.episode == Some(episode), member };
    session.members.iter().map(Arc::as_ref).filter(|member| counts(member)).map(peer).collect()
}

/// Names the members that could be host for the most others, best first (M-70).
pub fn find_hosts(session: &mut Session, episode: u32) {
    if session.properties.system.contains_key("host") {
        return;
    }
    let Some(demands) = Demands::to_host(session) else { return };
    let metric = session.constants.system.get("peerToHostRequirements").and_then(|demands| demands.get("hostSelectionMetric"));
    let metric = metric.and_then(Json::as_str).unwrap_or_default().into_owned();
    let peers = peers(session, episode);
    // Per possible host: how many it serves, how badly (lower is better), its index and token.
    let mut hosts: Vec<(usize, f64, MemberIndex, &str)> = Vec::new();
    for host in &peers {
        let Some(token) = host.token.as_deref() else { continue };
        let others = peers.iter().filter(|peer| peer.member.index != host.member.index);
        let served: Vec<&Json> =
            others.filter(|peer| demands.unmet(peer, host).is_none()).filter_map(|peer| peer.measured(host)).collect();
        let badness = average(served.iter().map(|entry| badness(&metric, entry)));
        hosts.push((served.len(), badness, host.member.index, token));
    }
    let most = hosts.iter().map(|(served, ..)| *served).max().unwrap_or(0);
    hosts.retain(|(served, ..)| *served == most && (most > 0 || peers.len() == 1));
    hosts.sort_by(|one, two| one.1.total_cmp(&two.1).then(one.2.cmp(&two.2)));
    session.host_candidates = hosts.iter().map(|(.., token)| (*token).to_owned()).collect();
}

/// The mean; 0 of nothing.
fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// How bad a measurement is in the sense of `hostSelectionMetric`.
fn badness(metric: &str, entry: &Json) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an order among hosts needs no more")]
    let value = |name: &str| number(entry, name).unwrap_or(0) as f64;
    match metric {
        "bandwidthup" => -value("bandwidthUp"),
        "bandwidthdown" => -value("bandwidthDown"),
        "bandwidth" => -(value("bandwidthUp") + value("bandwidthDown")),
        _ => value("latency"),
    }
}

/// Fails those members of an episode whose connections do not suffice (M-62, M-63, M-64).
pub fn judge(session: &mut Session, episode: u32) {
    let mut failed = judge_pairs(session, episode);
    note(session, &failed);
    failed = judge_hosts(session, episode);
    note(session, &failed);
}

fn note(session: &mut Session, failed: &[(MemberIndex, Failure)]) {
    for (index, failure) in failed {
        if let Some(member) = session.member_at_mut(*index) {
            member.failure = Some(*failure);
        }
    }
}

/// Every pair with a member of the episode must suffice both ways; who was there before need not have measured the newcomer. Of pairs
/// that do not, the member with more of them fails first, of equals the one with the higher index, until none is left (M-64).
fn judge_pairs(session: &Session, episode: u32) -> Vec<(MemberIndex, Failure)> {
    let Some(demands) = Demands::to_peers(session) else { return Vec::new() };
    let peers = peers(session, episode);
    let mut bad: Vec<(&Peer, &Peer, Failure)> = Vec::new();
    for (at, one) in peers.iter().enumerate() {
        for two in peers[at + 1..].iter().filter(|two| one.new || two.new) {
            let side = |from: &Peer, to: &Peer| {
                if from.new || from.measured(to).is_some() { demands.unmet(from, to) } else { None }
            };
            bad.extend(side(one, two).into_iter().chain(side(two, one)).min().map(|failure| (one, two, failure)));
        }
    }
    let mut failed = Vec::new();
    loop {
        let is_of =
            |index: MemberIndex, (one, two, _): &(&Peer, &Peer, Failure)| one.member.index == index || two.member.index == index;
        let count = |index: MemberIndex| bad.iter().filter(|pair| is_of(index, pair)).count();
        let worst =
            peers.iter().filter(|peer| peer.new).map(|peer| peer.member.index).max_by_key(|index| (count(*index), *index));
        let Some(index) = worst.filter(|index| count(*index) > 0) else { return failed };
        let reason = bad.iter().filter(|pair| is_of(index, pair)).map(|(.., failure)| *failure).min();
        failed.extend(reason.map(|reason| (index, reason)));
        bad.retain(|pair| !is_of(index, pair));
    }
}

/// Every member of the episode must reach the host, or, while there is none, a member that could be it (M-63).
fn judge_hosts(session: &Session, episode: u32) -> Vec<(MemberIndex, Failure)> {
    let Some(demands) = Demands::to_host(session) else { return Vec::new() };
    let host = session.properties.system.get("host").and_then(Json::as_str).map(|host| host.to_lowercase());
    let tokens = host.map_or_else(|| session.host_candidates.clone(), |host| vec![host]);
    let peers = peers(session, episode);
    let is_host = |peer: &Peer| peer.token.as_ref().is_some_and(|token| tokens.contains(token));
    // Without any candidate the reason is what keeps a member from all the others.
    let hosts: Vec<&Peer> =
        if tokens.is_empty() { peers.iter().collect() } else { peers.iter().filter(|peer| is_host(peer)).collect() };
    let mut failed = Vec::new();
    for peer in peers.iter().filter(|peer| peer.new && !is_host(peer)) {
        let others = hosts.iter().filter(|host| host.member.index != peer.member.index);
        let unmet: Vec<Option<Failure>> = others.map(|host| demands.unmet(peer, host)).collect();
        let reaches = !tokens.is_empty() && unmet.contains(&None);
        if !reaches {
            let reason = unmet.into_iter().flatten().min().unwrap_or(Failure::Latency);
            failed.push((peer.member.index, reason));
        }
    }
    failed
}
