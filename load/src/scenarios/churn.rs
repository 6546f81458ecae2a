//! Lobby churn: a lobby is created, made the user's activity, changed and read; somebody else's is joined, and both are left.

use serde_json::{Value, json};

use crate::ledger::Slot;
use crate::measure::Op;
use crate::user::{Request, Step, User, is_full, is_gone, seat};
use crate::world::Lobby;

const CREATE: Op = Op::new("create", "PUT", "…/sessions/{name}");
const ACTIVITY: Op = Op::new("activity", "POST", "/handles");
const JOIN: Op = Op::new("join by activity", "PUT", "/handles/{id}/session");
const UPDATE: Op = Op::new("update", "PUT", "…/sessions/{name}");
const READ: Op = Op::new("read", "GET", "…/sessions/{name}");
pub const LEAVE: Op = Op::new("leave", "DELETE", "…/sessions/{name}/members/me");

pub async fn round(user: &mut User) -> Step<()> {
    let world = user.world.clone();
    let number = user.next_number();
    let place = world.place(&world.templates.lobby, &format!("u{}-{number}", user.number));
    let own = place.path.as_str();

    let mut body = seat(number);
    body["properties"] = json!({"custom": {user.property(): number, "map": "harbor"}, "system": {"keywords": ["load"]}});
    let create = Request::new(&CREATE, own, &[201]).body(body);
    let create = create.writes(own, Slot::Seat, Some(number)).writes(own, Slot::Property, Some(number));
    if user.ask(create).await?.is_none() {
        return leave(user, own).await;
    }
    let activity = json!({"type": "activity", "version": 1, "sessionRef": place.reference});
    if let Some(reply) = user.ask(Request::new(&ACTIVITY, "/handles", &[201]).body(activity)).await? {
        match reply.json()["id"].as_str() {
            Some(id) => world.publish(Lobby { owner: user.number, handle: id.to_owned(), place: place.clone() }),
            None => user.object(&ACTIVITY, "a handle without an id"),
        }
    }
    visit(user).await?;
    for _ in 0..2 {
        let number = user.next_number();
        let body = json!({"properties": {"custom": {user.property(): number}}});
        let update = Request::new(&UPDATE, own, &[200]).body(body).only_if_there().writes(own, Slot::Property, Some(number));
        user.ask(update).await?;
    }
    read(user, own).await?;
    world.withdraw(user.number);
    leave(user, own).await
}

/// Joins somebody else's lobby, if there is one, changes the own entry there, and leaves.
async fn visit(user: &mut User) -> Step<()> {
    let chance = user.random.next();
    let Some(lobby) = user.world.lobby(user.number, chance) else { return Ok(()) };
    let there = lobby.place.path.as_str();
    let number = user.next_number();
    let join = Request::new(&JOIN, format!("/handles/{}/session", lobby.handle), &[200]).body(seat(number)).only_if_there();
    // Its owner may have left in the meantime, or fifteen others have come.
    let join = join.or_refused(|status, text| is_gone(status, text) || is_full(status, text));
    if user.ask(join.writes(there, Slot::Seat, Some(number))).await?.is_none() {
        return Ok(());
    }
    let number = user.next_number();
    let body: Value = json!({"members": {"me": {"properties": {"custom": {"seq": number}}}}});
    let update = Request::new(&UPDATE, there, &[200]).body(body).only_if_there();
    user.ask(update.writes(there, Slot::Seat, Some(number))).await?;
    read(user, there).await?;
    leave(user, there).await
}

/// Reads a session the user is in, which must show what was acknowledged.
async fn read(user: &mut User, session: &str) -> Step<()> {
    if let Some(reply) = user.ask(Request::new(&READ, session, &[200])).await? {
        user.compare(session, &reply.json());
    }
    Ok(())
}

/// Leaves a session; that nobody is left there to leave is told with 404.
pub async fn leave(user: &mut User, session: &str) -> Step<()> {
    let leave = Request::new(&LEAVE, format!("{session}/members/me"), &[204]).or_refused(is_gone);
    user.ask(leave.writes(session, Slot::Seat, None)).await.map(drop)
}
