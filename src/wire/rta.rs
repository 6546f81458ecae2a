//! The frames of the RTA socket (N-04 to N-12): what clients ask, and what they are told. Every frame is one JSON array.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::percent;
use crate::domain::instant::render_instant;
use crate::domain::names::{Branch, ConnectionId, TitleId, Xuid};
use crate::json::{Json, Number, Object, parse};

/// How deep a frame may nest: anything that is known is an array of plain values.
const DEPTH: usize = 16;
/// The longest spelling of a sequence number, in characters: clients count in 32 bits, and answers that wait repeat it.
const SEQ_MAX: usize = 32;

/// How large an event with taps becomes, in bytes: go-xsapi's websocket library takes no frame of more than 32,768.
const TAPS_BYTES: usize = 16 << 10;

/// The sequence number of a request, in the client's own spelling (N-12, N-66).
pub type Seq = Number;

/// The id of a subscription: positive, below 2^31, unique within its socket (N-13).
pub type SubscriptionId = u32;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `[1, seq, "uri"]` (N-05)
    Subscribe {
        /// The client's number.
        seq: Seq,
        /// The resource.
        uri: String,
    },
    /// `[2, seq, subId]` (N-08)
    Unsubscribe {
        /// The client's number.
        seq: Seq,
        /// The subscription; `None` for a number that is never given.
        id: Option<SubscriptionId>,
    },
}

/// A resource that can be subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The connection of the socket (N-20).
    Connection,
    /// Invites of a user for a title (N-60).
    Invites {
        /// The user.
        xuid: Xuid,
        /// The title.
        title_id: TitleId,
    },
}

/// Why a subscription is refused (N-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Nothing is known by this URI, or it is somebody else's.
    UnknownResource,
    /// The socket has as many subscriptions as it may have (N-17).
    LimitReached,
    /// The resource was asked for too often; the client is to wait longer and longer (N-67).
    Throttled,
    /// The resource cannot be served for the moment (N-67).
    Unavailable,
}

impl Code {
    fn number(self) -> u32 {
        match self {
            Self::UnknownResource => 1,
            Self::LimitReached => 2,
            Self::Throttled => 1001,
            Self::Unavailable => 1002,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::UnknownResource => "there is no such resource for you",
            Self::LimitReached => "this socket has as many subscriptions as it may have",
            Self::Throttled => "this socket has just had a connection: ask again later",
            Self::Unavailable => "the service cannot serve this resource just now",
        }
    }
}

/// One tap, ready to be told (N-50, N-51).
#[derive(Debug, Clone, Copy)]
pub struct Tap<'a> {
    /// When the change was decided.
    pub at: DateTime<Utc>,
    /// The id of the member's subscription.
    pub subscription: &'a str,
    /// The session: its service config, template and name, joined by `~`.
    pub resource: &'a str,
    /// Which life of the session.
    pub branch: Branch,
    /// The number of the change.
    pub change_number: u64,
}

/// Reads a text frame; `None` for one that is to be ignored (N-04). What follows the third item is ignored, too.
#[must_use]
pub fn request(text: &str) -> Option<Request> {
    let frame = parse(text.as_bytes(), DEPTH).ok()?;
    let [kind, Json::Number(seq), what, ..] = frame.as_array()? else { return None };
    if seq.as_str().len() > SEQ_MAX {
        return None;
    }
    let seq = seq.clone();
    match (kind.as_u64()?, what) {
        (1, Json::String(_)) => Some(Request::Subscribe { seq, uri: what.as_str()?.into_owned() }),
        (2, Json::Number(number)) => {
            Some(Request::Unsubscribe { seq, id: number.as_u64().and_then(|id| SubscriptionId::try_from(id).ok()) })
        }
        _ => None,
    }
}

/// Finds the resource of a URI by its path alone, in any case and behind any scheme and host (N-20, N-60).
#[must_use]
pub fn resource(uri: &str) -> Option<Resource> {
    let uri = uri.trim().split(['?', '#']).next().unwrap_or_default();
    let path = match uri.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => uri.strip_prefix('/')?,
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<Cow<'_, str>> = path.split('/').map(percent::decode).collect::<Option<_>>()?;
    let words: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["connections"] => Some(Resource::Connection),
        ["users", user, "deviceid", "current", "titleid", title] => {
            let xuid = Xuid::parse(user.strip_prefix("xuid(")?.strip_suffix(')')?).ok()?;
            Some(Resource::Invites { xuid, title_id: TitleId::parse(title).ok()? })
        }
        _ => None,
    }
}

/// What subscribers of the connection are told at once (N-21).
#[must_use]
pub fn connection(id: ConnectionId) -> Json {
    let mut data = Object::new();
    data.insert("ConnectionId".into(), id.to_string().into());
    data.into()
}

/// `[1, seq, 0, subId, data]` (N-06)
#[must_use]
pub fn subscribed(seq: &Seq, id: SubscriptionId, data: &Json) -> String {
    format!("[1,{},0,{id},{data}]", seq.as_str())
}

/// `[1, seq, code, "message"]` (N-07)
#[must_use]
pub fn refused(seq: &Seq, code: Code) -> String {
    format!("[1,{},{},{}]", seq.as_str(), code.number(), Json::from(code.message()))
}

/// `[2, seq, code]` (N-09)
#[must_use]
pub fn unsubscribed(seq: &Seq, was_known: bool) -> String {
    format!("[2,{},{}]", seq.as_str(), u8::from(!was_known))
}

/// `[3, subId, data]` (N-10); `data` is rendered already.
#[must_use]
pub fn event(id: SubscriptionId, data: &str) -> String {
    format!("[3,{id},{data}]")
}

/// `[4]` (N-11)
#[must_use]
pub fn resync() -> String {
    "[4]".to_owned()
}

/// The data of events that tell taps, as many in one as fit into a frame that every client takes (N-51, N-55).
#[must_use]
pub fn taps<'a>(receiver: ConnectionId, taps: impl IntoIterator<Item = Tap<'a>>) -> Vec<String> {
    let mut events = Vec::new();
    let mut event = String::new();
    for tap in taps.into_iter().map(|given| tap(given).to_string()) {
        if !event.is_empty() && event.len() + tap.len() > TAPS_BYTES {
            events.push(std::mem::take(&mut event) + "]}");
        }
        if event.is_empty() {
            event = format!(r#"{{"ncid":"{receiver}","shoulderTaps":["#);
        } else {
            event.push(',');
        }
        event += &tap;
    }
    if !event.is_empty() {
        events.push(event + "]}");
    }
    events
}

fn tap(tap: Tap<'_>) -> Json {
    let mut fields = Object::new();
    fields.insert("timestamp".into(), render_instant(tap.at).into());
    fields.insert("subscription".into(), tap.subscription.into());
    fields.insert("resourceType".into(), "mpsd/session".into());
    fields.insert("resource".into(), tap.resource.into());
    fields.insert("branch".into(), tap.branch.to_string().into());
    fields.insert("changeNumber".into(), tap.change_number.into());
    fields.into()
}

/// The data of an event that brings an invite (N-60); the document is JSON.
#[must_use]
pub fn invite(document: &str) -> String {
    format!(r#"{{"inviteHandle":{document}}}"#)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;

    fn seq(text: &str) -> Seq {
        let Json::Number(seq) = parse(text.as_bytes(), 1).unwrap() else { panic!("{text} is a number") };
        seq
    }

    /// Type, spelling of the sequence number, and what it is about.
    fn read(text: &str) -> Option<(u8, String, String)> {
        Some(match request(text)? {
            Request::Subscribe { seq, uri } => (1, seq.as_str().to_owned(), uri),
            Request::Unsubscribe { seq, id } => (2, seq.as_str().to_owned(), id.map_or("none".to_owned(), |id| id.to_string())),
        })
    }

    #[rstest]
    #[case::n05(r#"[1,1,"https://a/b"]"#, 1, "1", "https://a/b")]
    #[case::n05_space(" [ 1 , 7 , \"x\" ]\n", 1, "7", "x")]
    #[case::n05_more(r#"[1,1,"x",{"later":[1]}]"#, 1, "1", "x")]
    #[case::n08("[2,3,4]", 2, "3", "4")]
    #[case::n08_never_given("[2,3,-4]", 2, "3", "none")]
    #[case::n08_too_large("[2,3,4294967296]", 2, "3", "none")]
    #[case::n12_spelling(r#"[1,1.0e0,"x"]"#, 1, "1.0e0", "x")]
    #[case::n12_large(r#"[1,18446744073709551617,"x"]"#, 1, "18446744073709551617", "x")]
    #[case::n12_longest("[2,12345678901234567890123456789012,1]", 2, "12345678901234567890123456789012", "1")]
    #[case::n66("[2,0,1]", 2, "0", "1")]
    fn n05_n08_requests(#[case] text: &str, #[case] kind: u8, #[case] seq: &str, #[case] what: &str) {
        assert_eq!(read(text), Some((kind, seq.to_owned(), what.to_owned())));
    }

    #[rstest]
    #[case("")]
    #[case("hello")]
    #[case("{}")]
    #[case("1")]
    #[case("[]")]
    #[case("[1]")]
    #[case("[1,1]")]
    #[case(r#"[1,"1","x"]"#)]
    #[case("[1,1,2]")]
    #[case("[2,123456789012345678901234567890123,1]")]
    #[case("[1,1,null]")]
    #[case(r#"[1,1,"\ud800"]"#)]
    #[case(r#"[2,1,"1"]"#)]
    #[case(r#"[3,1,"x"]"#)]
    #[case("[4]")]
    #[case(r#"["1",1,"x"]"#)]
    #[case(r#"[1,1,"x"] [1,2,"x"]"#)]
    #[case(r#"[1,1,"x",[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]"#)]
    fn n04_other_frames_are_ignored(#[case] text: &str) {
        assert_eq!(request(text), None, "{text}");
    }

    #[rstest]
    #[case("https://sessiondirectory.xboxlive.com/connections/")]
    #[case("https://sessiondirectory.xboxlive.com/connections")]
    #[case("http://127.0.0.1:8080/Connections/")]
    #[case("WSS://Anywhere/CONNECTIONS?a=/b")]
    #[case("/connections")]
    #[case(" https://a/connections#x ")]
    fn n20_the_connection_matches_by_path(#[case] uri: &str) {
        assert_eq!(resource(uri), Some(Resource::Connection), "{uri}");
    }

    #[rstest]
    #[case("https://notify.xboxlive.com/users/xuid(2533274790000001)/deviceId/current/titleId/1739200451")]
    #[case("https://notify.xboxlive.com/users/xuid%282533274790000001%29/deviceId/current/titleId/1739200451/")]
    #[case("HTTP://other/USERS/XUID(2533274790000001)/DEVICEID/CURRENT/TITLEID/1739200451?x")]
    fn n60_invites_match_by_path(#[case] uri: &str) {
        let expected = Resource::Invites { xuid: Xuid(2_533_274_790_000_001), title_id: TitleId(1_739_200_451) };
        assert_eq!(resource(uri), Some(expected), "{uri}");
    }

    #[rstest]
    #[case("")]
    #[case("connections")]
    #[case("https://connections")]
    #[case("https://a/connections//")]
    #[case("https://a/b/connections")]
    #[case("https://social.xboxlive.com/users/xuid(1)/friends")]
    #[case("https://userpresence.xboxlive.com/users/xuid(1)/devices")]
    #[case("https://a/users/xuid(x)/deviceId/current/titleId/1")]
    #[case("https://a/users/xuid(1)/deviceId/current/titleId/4294967296")]
    #[case("https://a/users/xuid(1)/deviceId/other/titleId/1")]
    #[case("https://a/%ff")]
    fn n23_other_resources_are_unknown(#[case] uri: &str) {
        assert_eq!(resource(uri), None, "{uri}");
    }

    #[test]
    fn n06_n21_a_subscription_is_answered_with_the_state() {
        let id = ConnectionId(Uuid::from_u128(0xABCD));
        let answer = subscribed(&seq("0"), 5, &connection(id));
        assert_eq!(answer, r#"[1,0,0,5,{"ConnectionId":"00000000-0000-0000-0000-00000000abcd"}]"#);
    }

    #[test]
    fn n07_n15_a_refusal_has_a_code() {
        let code = |code| refused(&seq("1.50"), code);
        assert_eq!(code(Code::UnknownResource), r#"[1,1.50,1,"there is no such resource for you"]"#);
        assert!(code(Code::LimitReached).starts_with("[1,1.50,2,\""));
        assert!(code(Code::Throttled).starts_with("[1,1.50,1001,\""));
        assert!(code(Code::Unavailable).starts_with("[1,1.50,1002,\""));
    }

    #[test]
    fn n09_n11_short_answers() {
        assert_eq!((unsubscribed(&seq("7"), true), unsubscribed(&seq("7"), false)), ("[2,7,0]".into(), "[2,7,1]".into()));
        assert_eq!(resync(), "[4]");
    }

    #[test]
    fn n10_n50_n51_taps_share_an_event() {
        let one = Tap {
            at: "2031-04-05T06:07:08.123456Z".parse().unwrap(),
            subscription: "Sub\"1",
            resource: "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7~Lobby~Foo",
            branch: Branch(Uuid::from_u128(1)),
            change_number: 7,
        };
        let two = Tap { change_number: u64::MAX, ..one };
        let events = taps(ConnectionId(Uuid::from_u128(0xC)), [one, two]);
        assert_eq!(events.len(), 1);
        let text = event(3, &events[0]);
        let tap = |number: u64| {
            format!(
                concat!(
                    r#"{{"timestamp":"2031-04-05T06:07:08.1234560Z","subscription":"Sub\"1","resourceType":"mpsd/session","#,
                    r#""resource":"5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7~Lobby~Foo","#,
                    r#""branch":"00000000-0000-0000-0000-000000000001","changeNumber":{}}}"#
                ),
                number
            )
        };
        let expected =
            format!(r#"[3,3,{{"ncid":"00000000-0000-0000-0000-00000000000c","shoulderTaps":[{},{}]}}]"#, tap(7), tap(u64::MAX));
        assert_eq!(text, expected);
        assert!(parse(text.as_bytes(), 8).is_ok());
    }

    #[test]
    fn n55_taps_that_are_too_many_for_a_frame_come_in_several() {
        let subscription = "\u{1}".repeat(100);
        let resource = "é".repeat(300);
        let at = "2031-04-05T06:07:08.123456Z".parse().unwrap();
        let (subscription, resource, branch) = (&*subscription, &*resource, Branch(Uuid::from_u128(1)));
        let told = |count: u64| {
            taps(
                ConnectionId(Uuid::from_u128(0xC)),
                (1..=count).map(|change_number| Tap { at, subscription, resource, branch, change_number }),
            )
        };
        assert_eq!(told(0), [""; 0]);
        let events = told(256);
        assert!(events.len() > 10 && events.iter().all(|data| event(0x7fff_ffff, data).len() < 20_000), "{}", events.len());
        let mut numbers = Vec::new();
        for data in &events {
            let data = parse(data.as_bytes(), 8).unwrap();
            let fields = data.as_object().unwrap();
            assert_eq!(fields["ncid"].as_str().unwrap(), "00000000-0000-0000-0000-00000000000c");
            for tap in fields["shoulderTaps"].as_array().unwrap() {
                numbers.push(tap.as_object().unwrap()["changeNumber"].as_u64().unwrap());
            }
        }
        assert_eq!(numbers, (1..=256).collect::<Vec<_>>(), "each once, in their order");
    }

    #[test]
    fn n60_an_invite_is_an_event() {
        assert_eq!(event(9, &invite(r#"{"id":"x"}"#)), r#"[3,9,{"inviteHandle":{"id":"x"}}]"#);
    }
}
