//! Join storm: everybody joins one session, and leaves it again. One that is not large takes a hundred at a time.

use serde_json::json;

use crate::ledger::Slot;
use crate::measure::Op;
use crate::user::{Request, Step, User, is_full, seat};

use super::churn::leave;

const JOIN: Op = Op::new("join", "PUT", "…/sessions/{name}");

pub async fn round(user: &mut User) -> Step<()> {
    let world = user.world.clone();
    let place = world.place(&world.templates.crowd, "crowd");
    let session = place.path.as_str();
    let number = user.next_number();
    // Whoever comes first makes the session; so all of them say what it is to be.
    let mut body = seat(number);
    if world.large {
        body["constants"] = json!({"system": {"maxMembersCount": 10_000, "capabilities": {"large": true}}});
    }
    let join = Request::new(&JOIN, session, &[200, 201]).body(body).or_refused(is_full);
    if user.ask(join.writes(session, Slot::Seat, Some(number))).await?.is_some() {
        leave(user, session).await?;
    }
    Ok(())
}
