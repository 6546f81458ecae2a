//! Browse storm: everybody has a session that is listed, and looks for those of others in every way there is.

use serde_json::{Value, json};

use crate::ledger::Slot;
use crate::measure::Op;
use crate::user::{Request, Step, User, seat};

const LIST: Op = Op::new("create listed", "PUT", "…/sessions/{name}");
const PUBLISH: Op = Op::new("publish", "POST", "/handles");
const SEARCH: Op = Op::new("search", "POST", "/handles/query");
const PAGE: Op = Op::new("search, next page", "POST", "/handles/query");
const FIND: Op = Op::new("search, one tag", "POST", "/handles/query");
const KEYWORD: Op = Op::new("query by keyword", "GET", "…/sessiontemplates/{t}/sessions?keyword=");
const BY_USER: Op = Op::new("query by user", "GET", "/serviceconfigs/{scid}/sessions?xuid=");
const BATCH: Op = Op::new("query ten users", "POST", "/serviceconfigs/{scid}/batch");
const LOOK: Op = Op::new("read by handle", "GET", "/handles/{id}/session");

/// Results of a page.
const TAKE: usize = 20;
/// Pages that are looked at after the first.
const PAGES: usize = 2;
const MAPS: [&str; 5] = ["harbor", "castle", "meadow", "dunes", "reef"];

pub async fn round(user: &mut User) -> Step<()> {
    if user.home_of_listing().is_none() {
        return list(user).await;
    }
    match user.random.below(10) {
        0..=3 => pages(user).await,
        4 | 5 => find(user).await,
        6 => keyword(user).await,
        7 | 8 => by_user(user).await,
        _ => batch(user).await,
    }
}

impl User {
    /// The listed session of this user, if it has been made.
    fn home_of_listing(&self) -> Option<String> {
        let place = self.world.place(&self.world.templates.listed, &format!("listed-u{}", self.number));
        self.ledger.sessions().contains(&place.path).then_some(place.path)
    }

    /// A tag that is on this user's session and on no other.
    fn tag(&self, of: usize) -> String {
        format!("r{}u{of}", self.world.run)
    }
}

/// Makes the user's session and lists it. When listing fails it is tried with the next round.
async fn list(user: &mut User) -> Step<()> {
    let world = user.world.clone();
    let place = world.place(&world.templates.listed, &format!("listed-u{}", user.number));
    let session = place.path.as_str();
    let number = user.next_number();
    let mut body = seat(number);
    body["constants"] = json!({"system": {"capabilities": {"searchable": true}}});
    body["properties"] = json!({"system": {"keywords": [format!("load{}", user.number % 10)]}});
    let create = Request::new(&LIST, session, &[200, 201]).body(body);
    if user.ask(create.writes(session, Slot::Seat, Some(number))).await?.is_none() {
        return Ok(());
    }
    let attributes = json!({
        "tags": ["load", user.tag(user.number)],
        "strings": {"map": MAPS[user.number % MAPS.len()]},
        "numbers": {"level": user.number % 100},
    });
    let handle = json!({"type": "search", "version": 1, "sessionRef": place.reference, "searchAttributes": attributes});
    if user.ask(Request::new(&PUBLISH, "/handles", &[201]).body(handle)).await?.is_none() {
        super::churn::leave(user, session).await?;
    }
    Ok(())
}

/// A search whose order and filter many sessions meet, page by page, and a look at one of them.
async fn pages(user: &mut User) -> Step<()> {
    let level = user.random.below(60);
    let map = MAPS[user.random.below(MAPS.len())];
    let filter = format!("tags/any(t: t eq 'load') and strings/map eq '{map}' and numbers/level ge {level}");
    let mut query = search(user, &filter);
    query["orderBy"] = json!("numbers/level desc");
    let mut op = &SEARCH;
    let mut handle = None;
    for _ in 0..=PAGES {
        let Some(reply) = user.ask(searching(op, query.clone())).await? else { break };
        let answer = reply.json();
        let Some(results) = results(user, op, &answer) else { break };
        let chosen = user.random.below(results.len());
        handle = results.get(chosen).and_then(|one| one["id"].as_str()).map(str::to_owned).or(handle);
        let Some(continuation) = answer["continuation"].as_str() else { break };
        query["continuation"] = json!(continuation);
        op = &PAGE;
    }
    if let Some(handle) = handle {
        // It may be of another run that has just ended.
        let gone = |status, _: &str| matches!(status, 204 | 404);
        user.ask(Request::new(&LOOK, format!("/handles/{handle}/session"), &[200]).or_refused(gone)).await?;
    }
    Ok(())
}

/// A search that must give one session: the user's own.
async fn find(user: &mut User) -> Step<()> {
    let query = search(user, &format!("tags/any(t: t eq '{}')", user.tag(user.number)));
    if let Some(reply) = user.ask(searching(&FIND, query)).await?
        && let Some(results) = results(user, &FIND, &reply.json())
        && results.len() != 1
    {
        user.object(&FIND, "the listed session is not found, or not it alone");
    }
    Ok(())
}

fn search(user: &User, filter: &str) -> Value {
    json!({"type": "search", "scid": user.world.scid, "templateName": user.world.templates.listed, "filter": filter})
}

fn searching(op: &'static Op, query: Value) -> Request<'static> {
    Request::new(op, format!("/handles/query?take={TAKE}&include=relatedInfo,customProperties"), &[200]).body(query)
}

async fn keyword(user: &mut User) -> Step<()> {
    let keyword = user.random.below(10);
    let (scid, template) = (&user.world.scid, &user.world.templates.listed);
    let path = format!("/serviceconfigs/{scid}/sessiontemplates/{template}/sessions?keyword=load{keyword}&take={TAKE}");
    query(user, Request::new(&KEYWORD, path, &[200]), &KEYWORD).await
}

async fn by_user(user: &mut User) -> Step<()> {
    let other = user.random.below(user.world.identities.len());
    let path = format!("/serviceconfigs/{}/sessions?xuid={}", user.world.scid, user.world.identities[other].xuid);
    query(user, Request::new(&BY_USER, path, &[200]), &BY_USER).await
}

async fn batch(user: &mut User) -> Step<()> {
    let count = user.world.identities.len();
    let others: Vec<usize> = (0..10).map(|_| user.random.below(count)).collect();
    let xuids: Vec<&str> = others.iter().map(|other| user.world.identities[*other].xuid.as_str()).collect();
    let path = format!("/serviceconfigs/{}/batch?take={TAKE}", user.world.scid);
    let request = Request::new(&BATCH, path, &[200]).body(json!({"xuids": xuids}));
    query(user, request, &BATCH).await
}

async fn query(user: &mut User, request: Request<'_>, op: &'static Op) -> Step<()> {
    if let Some(reply) = user.ask(request).await? {
        results(user, op, &reply.json());
    }
    Ok(())
}

/// The results of an answer, which must have some field of that name.
fn results(user: &User, op: &'static Op, answer: &Value) -> Option<Vec<Value>> {
    let results = answer["results"].as_array().cloned();
    if results.is_none() {
        user.object(op, "an answer without results");
    }
    results
}
