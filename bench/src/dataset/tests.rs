use std::collections::{BTreeMap, BTreeSet};

use openmpsd::domain::command::MemberKey;
use openmpsd::wire::handle_request::{Wanted, read};
use openmpsd::wire::request::read_delta;

use super::body::{activity, joining, listing};
use super::*;

/// The first and last sessions of some blocks, and some between.
const SOME: [u32; 8] = [0, 1, 77, BLOCK - 1, BLOCK, 123_456, 199_999, 4_000_000];

/// So many sessions, and as much of everything else as belongs to them.
fn of(sessions: u32) -> Sizes {
    Sizes { sessions, members: None, keywords: None, handles: None, listed: None }
}

#[test]
fn nobody_is_in_a_session_twice_and_no_keyword_on_it_twice() {
    let sizes = Sizes { members: Some(1000), keywords: Some(160), ..of(10) };
    for n in (0..10).chain(SOME) {
        let (members, keywords) = (members(&sizes, n), keywords(&sizes, n));
        assert_eq!((members.len(), keywords.len()), (100, 16), "session {n}");
        assert_eq!(members.iter().collect::<BTreeSet<_>>().len(), 100, "session {n}");
        assert_eq!(keywords.iter().collect::<BTreeSet<_>>().len(), 16, "session {n}");
        assert_eq!(members[0], owner(n));
    }
}

#[test]
fn a_block_keeps_to_its_regulars_and_keywords_and_uses_them_alike() {
    let sizes = of(5 * BLOCK);
    for block in [0, 3] {
        let (mut seen, mut found) = (BTreeMap::<u64, u32>::new(), BTreeMap::<String, u32>::new());
        for n in block * BLOCK..(block + 1) * BLOCK {
            for xuid in members(&sizes, n).into_iter().skip(1) {
                *seen.entry(xuid).or_default() += 1;
            }
            for keyword in keywords(&sizes, n) {
                *found.entry(keyword).or_default() += 1;
            }
        }
        assert!(seen.keys().copied().eq((0..REGULARS).map(|k| regular(block, k))), "all of the block's, and nobody else");
        assert!(found.keys().cloned().eq((0..KEYWORDS).map(|k| keyword(block, k))), "all of the block's, and no others");
        assert_eq!((seen.values().sum::<u32>() / REGULARS, found.values().sum::<u32>() / KEYWORDS), (25, 40));
        assert!(seen.values().all(|count| (8..=45).contains(count)), "{seen:?}");
        assert!(found.values().all(|count| (15..=65).contains(count)), "{found:?}");
    }
}

#[test]
fn owners_are_no_regulars_and_blocks_share_nobody() {
    assert!(owner(u32::MAX) < regular(0, 0));
    assert_eq!(regular(4, REGULARS - 1) + 1, regular(5, 0));
    assert_eq!((block(BLOCK - 1), block(BLOCK)), (0, 1));
    assert_eq!(user(owner(12)).gamertag.as_deref(), Some("P2533280000000012"));
}

#[test]
fn a_session_is_the_same_in_data_sets_of_all_sizes() {
    let given = Sizes { members: Some(80_000), keywords: Some(40_000), listed: Some(2000), ..of(20_000) };
    for n in (0..20_000).step_by(7) {
        for larger in [of(20_000), of(2_000_000)] {
            assert_eq!((members(&given, n), keywords(&given, n)), (members(&larger, n), keywords(&larger, n)));
            assert_eq!((given.is_listed(n), given.is_activity(n)), (larger.is_listed(n), larger.is_activity(n)));
        }
    }
    let fewer = Sizes { members: Some(40_000), ..given };
    assert_eq!(members(&fewer, 5), members(&of(20_000), 5)[..2], "more members begin with the same");
    assert_eq!(reference(123).to_string(), format!("{SCID}~Lobby~lobby-0000123"));
    assert_eq!(reference(123).sid().to_string(), "37dc05fc-44f1-5b16-b31a-c721f04f163a");
}

#[test]
fn the_shares_of_all_sessions_are_the_total() {
    let sizes = Sizes { sessions: 700, members: Some(2345), keywords: Some(333), handles: Some(99), listed: Some(41) };
    let count = |has: &dyn Fn(u32) -> bool| (0..700).filter(|n| has(*n)).count();
    assert_eq!((0..700).map(|n| sizes.members_of(n)).sum::<u32>(), 2345);
    assert_eq!((0..700).map(|n| sizes.keywords_of(n)).sum::<u32>(), 333);
    assert_eq!(sizes.totals().iter().map(|(_, count)| *count).collect::<Vec<_>>(), [700, 2345, 333, 99, 41]);
    assert_eq!(of(700).totals().iter().map(|(_, count)| *count).collect::<Vec<_>>(), [700, 2800, 1400, 700, 70]);
    assert!((0..700).all(|n| [3, 4].contains(&sizes.members_of(n))));
    assert_eq!((count(&|n| sizes.is_activity(n)), count(&|n| sizes.is_listed(n))), (99, 41));
    let usual = of(700);
    assert_eq!((count(&|n| usual.is_activity(n)), count(&|n| usual.is_listed(n))), (700, 70));
}

#[test]
fn sizes_that_do_not_go_together_are_refused_by_name() {
    assert_eq!(of(10).check(), Ok(()));
    let wrong = [
        ("--members", Sizes { members: Some(9), ..of(10) }),
        ("--members", Sizes { members: Some(1001), ..of(10) }),
        ("--keywords", Sizes { keywords: Some(161), ..of(10) }),
        ("--handles", Sizes { handles: Some(11), ..of(10) }),
        ("--listed", Sizes { listed: Some(11), ..of(10) }),
    ];
    for (flag, sizes) in wrong {
        let said = sizes.check().unwrap_err();
        assert!(said.starts_with(flag), "{said}");
    }
}

#[test]
fn the_bodies_are_requests_that_the_service_reads() {
    let sizes = of(200_000);
    for n in SOME {
        let (members, keywords) = (members(&sizes, n), keywords(&sizes, n));
        let delta = read_delta(creation(n, &members[1..], &keywords).as_bytes(), 32).unwrap();
        let keys: Vec<MemberKey> = delta.members.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys.len(), 4);
        assert!(keys.contains(&MemberKey::Me) && (0..3).all(|k| keys.contains(&MemberKey::Reserve(k))), "{keys:?}");
        let joins = read_delta(joining(n, 1).as_bytes(), 32).unwrap();
        assert!(matches!(joins.members[..], [(MemberKey::Me, Some(_))]), "{joins:?}");
        for (body, searched) in [(activity(n), false), (listing(n), true)] {
            let handle = read(body.as_bytes(), 32).unwrap();
            assert_eq!((handle.scid, handle.name.unwrap()), (reference(n).scid, reference(n).name));
            assert_eq!(matches!(handle.wanted, Wanted::Search(_)), searched);
        }
    }
}

#[test]
fn sessions_differ_and_few_of_them_are_rare() {
    let bodies: BTreeSet<String> = (0..1000).map(|n| creation(n, &[], &[])).collect();
    assert_eq!(bodies.len(), 1000);
    assert_ne!(joining(5, 1), joining(5, 2));
    let rare = (0..20_000).filter(|n| listing(*n).contains("\"rare\"")).count();
    assert!((5..45).contains(&rare), "{rare} of 20,000 are rare");
}
