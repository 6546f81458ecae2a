//! What administrators do to a session, whatever it says about who may do what. What follows from it follows as always.

use super::decide::Context;
use super::names::MemberIndex;
use super::principal::Principal;
use super::refusal::{Kind, Refusal};
use super::session::{Record, Session};
use super::timers;

/// Ends a session (W-62).
///
/// # Errors
/// 403 for whoever is no administrator; 404 when there is no session.
pub fn close(session: Option<&Session>, principal: &Principal) -> Result<Record, Refusal> {
    may_administer(principal)?;
    session.ok_or_else(no_session)?;
    Ok(None)
}

/// Takes a member out, of a large session too (M-40); what depends on members is evaluated as after any removal (W-38, M-41, M-93, W-60).
///
/// # Errors
/// 403 for whoever is no administrator; 404 when there is no such session or member.
pub fn remove(session: Option<&Session>, index: MemberIndex, context: &Context) -> Result<Record, Refusal> {
    may_administer(context.principal)?;
    let session = session.ok_or_else(no_session)?;
    let Some(member) = session.member_at(index) else {
        return Err(Refusal::new(Kind::Missing, format!("the session has no member {index}")));
    };
    let mut after = session.clone();
    timers::remove(&mut after, member);
    Ok(timers::finish(after, Some(session), None, context.now))
}

fn may_administer(principal: &Principal) -> Result<(), Refusal> {
    if matches!(principal, Principal::Admin { .. }) {
        return Ok(());
    }
    Err(Refusal::forbidden("only an administrator may do this"))
}

fn no_session() -> Refusal {
    Refusal::new(Kind::Missing, "the session does not exist")
}
