//! What administrators do to a session, and who does not.

use super::*;
use crate::domain::administration::{close, remove};

fn admin() -> Principal {
    Principal::Admin { name: "op".to_owned() }
}

#[test]
fn r70_nobody_but_an_administrator_ends_a_session_or_takes_members_out() {
    let mut stage = Stage::of(OPEN);
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    let session = stage.session().clone();
    for principal in [ada(), bo(), server()] {
        assert_eq!(close(Some(&session), &principal).unwrap_err().kind, Kind::Forbidden);
    }
    assert_eq!(close(Some(&session), &admin()), Ok(None));
    assert_eq!(close(None, &admin()).unwrap_err().kind, Kind::Missing);
    let facts = Facts::default();
    let template = Template::blank(session.reference.template.clone());
    let limits = Limits::default();
    let asked = |principal: &Principal, index: u32| {
        let context = Context {
            now: session.start_time,
            principal,
            reference: &session.reference,
            template: &template,
            facts: &facts,
            pass: &Pass::Nothing,
            limits: &limits,
            branch: session.branch,
        };
        remove(Some(&session), index, &context)
    };
    assert_eq!(asked(&ada(), 0).unwrap_err().kind, Kind::Forbidden);
    assert_eq!(asked(&admin(), 1).unwrap_err().kind, Kind::Missing);
    assert_eq!(asked(&admin(), 0), Ok(None), "W-60");
}
