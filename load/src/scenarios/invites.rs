//! Invite wave: everybody has a lobby and a socket, invites others, hears of invites, finds them in the inbox, follows one, and
//! takes it out.

use std::time::Instant;

use serde_json::json;

use crate::ledger::Slot;
use crate::measure::Op;
use crate::user::{Request, Step, User, is_full, is_gone, seat};

use super::churn::leave;

const HOME: Op = Op::new("create home", "PUT", "…/sessions/{name}");
const INVITE: Op = Op::new("invite", "POST", "/handles");
const INBOX: Op = Op::new("inbox", "GET", "/users/me/invites");
const FOLLOW: Op = Op::new("follow invite", "PUT", "/handles/{id}/session");
const DISCARD: Op = Op::new("discard invite", "DELETE", "/users/me/invites/{id}");

pub async fn round(user: &mut User) -> Step<()> {
    let world = user.world.clone();
    let home = world.place(&world.templates.lobby, &format!("home-u{}", user.number));
    if !ready(user, &home.path).await? {
        return Ok(());
    }
    let other = user.random.other(world.identities.len(), user.number);
    let heard_since = world.ears[other].open_since();
    let body = json!({
        "type": "invite", "version": 1, "sessionRef": home.reference, "invitedXuid": world.identities[other].xuid,
        "inviteAttributes": {"titleId": world.title_id, "context": "load"},
    });
    if let Some(reply) = user.ask(Request::new(&INVITE, "/handles", &[201]).body(body)).await? {
        let answered = Instant::now();
        match reply.json()["id"].as_str() {
            // Who began to hear in the meantime may or may not have heard this one.
            Some(id) if heard_since.is_some() && world.ears[other].open_since() == heard_since => {
                if let Some(lag) = world.invites.answered(id, answered, other) {
                    world.recorder.tap(lag);
                }
            }
            Some(_) => {}
            None => user.object(&INVITE, "a handle without an id"),
        }
    }
    let Some(reply) = user.ask(Request::new(&INBOX, "/users/me/invites?take=5", &[200])).await? else { return Ok(()) };
    let inbox = reply.json();
    let Some(results) = inbox["results"].as_array() else {
        user.object(&INBOX, "an answer without results");
        return Ok(());
    };
    let Some(invite) = results.last() else { return Ok(()) };
    let (Some(id), Some(name)) = (invite["id"].as_str(), invite["sessionRef"]["name"].as_str()) else {
        user.object(&INBOX, "an invite without id or session");
        return Ok(());
    };
    let prefix = format!("load-{}-", world.run);
    // Users that come from a file may have invites that this run has not made.
    if let Some(name) = name.strip_prefix(&prefix) {
        let there = world.place(&world.templates.lobby, name).path;
        let number = user.next_number();
        let follow = Request::new(&FOLLOW, format!("/handles/{id}/session"), &[200]).body(seat(number)).only_if_there();
        let follow = follow.or_refused(|status, text| is_gone(status, text) || is_full(status, text));
        if user.ask(follow.writes(&there, Slot::Seat, Some(number))).await?.is_some() {
            leave(user, &there).await?;
        }
        user.ask(Request::new(&DISCARD, format!("/users/me/invites/{id}"), &[204]).or_refused(is_gone)).await?;
    }
    Ok(())
}

/// Sees to socket and lobby; says whether both are there.
async fn ready(user: &mut User, home: &str) -> Step<bool> {
    let is_open = user.socket.as_ref().is_some_and(|socket| !socket.is_closed());
    let world = user.world.clone();
    let ear = &world.ears[user.number];
    if !is_open || ear.open_since().is_none() {
        ear.close();
        if !user.connect().await? || !user.listen().await? {
            return Ok(false);
        }
        ear.open();
    }
    if user.home.is_none() {
        let number = user.next_number();
        let create = Request::new(&HOME, home, &[200, 201]).body(seat(number)).writes(home, Slot::Seat, Some(number));
        if user.ask(create).await?.is_none() {
            return Ok(false);
        }
        user.home = Some(home.to_owned());
    }
    Ok(true)
}
