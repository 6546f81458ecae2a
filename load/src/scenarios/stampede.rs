//! Reconnect stampede: everybody has a socket and is active in a session of ten; then all sockets are cut at once, and everybody
//! comes back at once. Back is who has a socket, a connection id, is active with it, and has been tapped on it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::ledger::Slot;
use crate::measure::{Op, Outcome};
use crate::user::{Request, Step, User};
use crate::world::{GROUP, Place};

const REGISTER: Op = Op::new("register", "PUT", "…/sessions/{name}");
const NEWS: Op = Op::new("update", "PUT", "…/sessions/{name}");
const BACK: Op = Op::new("back", "", "from the cut until tapped again");
const ALL_BACK: Op = Op::new("all back", "", "from the cut until everybody is");

/// How long a tap is waited for.
const TAP: Duration = Duration::from_secs(5);
/// How long somebody tries to come back.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two stampedes.
const CALM: Duration = Duration::from_millis(500);

/// The whole run of one user, in step with all others.
pub async fn all_together(user: &mut User) {
    let world = user.world.clone();
    let group = user.number / GROUP;
    let place = world.place(&world.templates.lobby, &format!("group{group}"));
    // A stampede that has begun is gone through to its end, so that nobody waits for one who has left.
    user.persists = true;
    let _ = come(user, &place, None).await;
    while world.assembly.all_go(|| !user.is_over()).await {
        let cut = Instant::now();
        user.socket = None;
        let _ = come(user, &place, Some(cut)).await;
        world.assembly.all_here().await;
        if user.number == 0 {
            world.recorder.request(&ALL_BACK, cut.elapsed(), &Outcome::Fine);
        }
        // One of each group changes something, and all of it must hear.
        if user.number.is_multiple_of(GROUP)
            && let Ok(Some(number)) = news(user, &place).await
        {
            world.assembly.post(group, number, Instant::now());
        }
        world.assembly.all_here().await;
        if let (Some((number, answered)), Some(socket)) = (world.assembly.posted(group), &user.socket) {
            match socket.tapped(&place.resource, number, TAP).await {
                Some(at) => world.recorder.tap(at.saturating_duration_since(answered)),
                None => world.recorder.missed(1),
            }
        }
        let _ = user.rest(CALM).await;
    }
}

/// Cuts the own socket and comes back, whatever others do.
pub async fn alone(user: &mut User) -> Step<()> {
    let world = user.world.clone();
    let place = world.place(&world.templates.lobby, &format!("group{}", user.number / GROUP));
    world.ears[user.number].close();
    world.invites.forget(user.number);
    let cut = user.socket.take().map(|_| Instant::now());
    come(user, &place, cut).await
}

/// Comes, or comes back, and tries again until that has worked.
async fn come(user: &mut User, place: &Place, cut: Option<Instant>) -> Step<()> {
    let begun = Instant::now();
    while !user.is_over() && begun.elapsed() < PATIENCE {
        if try_to_come(user, place).await? {
            if let Some(cut) = cut {
                user.world.recorder.request(&BACK, cut.elapsed(), &Outcome::Fine);
            }
            return Ok(());
        }
        user.rest(Duration::from_millis(50)).await?;
    }
    if !user.is_over() {
        user.world.recorder.request(&BACK, begun.elapsed(), &Outcome::failed("did not come back"));
    }
    Ok(())
}

async fn try_to_come(user: &mut User, place: &Place) -> Step<bool> {
    if !user.connect().await? {
        return Ok(false);
    }
    let session = place.path.as_str();
    let number = user.next_number();
    let register = Request::new(&REGISTER, session, &[200, 201]).body(user.registered_seat(number));
    let Some(reply) = user.ask(register.writes(session, Slot::Seat, Some(number))).await? else { return Ok(false) };
    let answered = Instant::now();
    let Some(change) = reply.json()["changeNumber"].as_u64() else {
        user.object(&REGISTER, "a session without a change number");
        return Ok(false);
    };
    let Some(socket) = &user.socket else { return Ok(false) };
    if let Some(at) = socket.tapped(&place.resource, change, TAP).await {
        user.world.recorder.tap(at.saturating_duration_since(answered));
        return Ok(true);
    }
    user.world.recorder.missed(1);
    // Whatever became of it, a new socket is the way out.
    user.socket = None;
    Ok(false)
}

/// Changes something of the session; the change's number.
async fn news(user: &mut User, place: &Place) -> Step<Option<u64>> {
    let session = place.path.as_str();
    let number = user.next_number();
    let body = json!({"properties": {"custom": {user.property(): number}}});
    let update = Request::new(&NEWS, session, &[200]).body(body).only_if_there().writes(session, Slot::Property, Some(number));
    Ok(user.ask(update).await?.and_then(|reply| reply.json()["changeNumber"].as_u64()))
}
