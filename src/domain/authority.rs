//! Whether a caller may send a request at all, before anything of it is judged in itself (E-10 #11): access.md, W-05, W-06, W-30,
//! W-36, W-37, M-81, M-92.

use super::access;
use super::command::{Delta, Target, Write};
use super::decide::Context;
use super::entries::Entries;
use super::principal::{Principal, User};
use super::refusal::{Kind, Refusal};
use super::session::{MemberState, Session, has_capability};
use super::system::{self, PROPERTIES};
use super::template;
use crate::json::{Json, Object};

/// What is left of a request that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It is to be judged and done.
    Go,
    /// It asks for nothing but the leaving of somebody who is not there.
    NothingLeftToDo,
}

/// The rights of a caller in a session.
struct Rights<'a> {
    session: &'a Session,
    users: &'a [User],
    /// Those of a server.
    manages: bool,
    /// Those of an owner (M-91); whoever comes first into a session without owners becomes one.
    owns: bool,
}

impl<'a> Rights<'a> {
    fn of(session: &'a Session, entries: &Entries, context: &Context<'a>) -> Self {
        let users = context.principal.users();
        let owns = |user: &User| session.is_owner(user.xuid);
        let vacant = session.has_owners() && session.owners().is_empty() && entries.own.iter().any(|own| own.entry.is_some());
        Self {
            session,
            users,
            manages: context.principal.is_server_for(&session.reference.scid),
            owns: session.has_owners() && !users.is_empty() && (vacant || users.iter().any(owns)),
        }
    }

    fn directs(&self) -> bool {
        self.manages || self.owns
    }
}

/// Judges whether somebody may create a session, before its constants are known (A-30, S-34, W-36).
///
/// # Errors
/// 403.
pub fn may_create(write: &Write, entries: &Entries, context: &Context) -> Result<(), Refusal> {
    may_act(context)?;
    let manages = context.principal.is_server_for(&context.reference.scid);
    if manages {
        entries.own.iter().filter(|own| own.entry.is_some()).try_for_each(|own| access::may_play(own.user))?;
    } else {
        context.principal.users().iter().try_for_each(access::may_play)?;
        initiates(write, context)?;
    }
    if write.delta.servers.is_some() && !manages {
        return Err(only_servers_write_servers());
    }
    if let Some((index, _)) = entries.others.iter().find(|_| !manages) {
        return Err(no_other_member(*index));
    }
    Ok(())
}

/// Judges whether somebody may create a session with these constants (A-31, W-26).
///
/// # Errors
/// 403; 400 for the name of a broadcast.
pub fn may_create_such(constants: &Object, write: &Write, context: &Context) -> Result<(), Refusal> {
    let manages = context.principal.is_server_for(&context.reference.scid);
    may_use_device(has_capability(constants, "userAuthorizationStyle"), context)?;
    if has_capability(constants, "arbitration") {
        let arbitration = write.delta.servers.as_ref().and_then(|servers| servers.get("arbitration")).and_then(Json::as_object);
        if !manages || arbitration.is_none() {
            let why = "sessions with the capability arbitration are created by a server that adds servers.arbitration";
            return Err(Refusal::forbidden(why));
        }
    }
    if has_capability(constants, "broadcast") {
        let name = context.reference.name.as_str();
        let named = super::names::Xuid::parse(name).is_ok_and(|xuid| manages || context.principal.xuid() == Some(xuid));
        if !named {
            return Err(Refusal::invalid("sessionName", "a broadcast is named by the xuid of the broadcaster"));
        }
    }
    Ok(())
}

/// Judges whether the caller may send this request to an existing session (W-30, A-10, E-10 #11).
///
/// # Errors
/// 403; 409 for a change of others in a large session comes later.
pub fn may_write(session: &Session, write: &Write, entries: &Entries, context: &Context) -> Result<Leave, Refusal> {
    may_act(context)?;
    let rights = Rights::of(session, entries, context);
    if session.is_large() && rights.users.len() > 1 {
        return Err(Refusal::forbidden("a large session takes one acting user at a time"));
    }
    let leave = may_take_part(&rights, write, entries, context)?;
    if write.delta.servers.is_some() && !rights.manages {
        return Err(only_servers_write_servers());
    }
    may_touch_others(&rights, entries, context)?;
    may_assign_roles(&rights, entries)?;
    may_direct(&rights, &write.delta, context)?;
    may_judge(&rights, write, entries)?;
    Ok(leave)
}

/// Administrators have routes of their own, and a server's credential names its service configs.
fn may_act(context: &Context) -> Result<(), Refusal> {
    match (context.principal, context.principal.server()) {
        (Principal::Admin { .. }, _) => Err(Refusal::forbidden("an administrator is no member and no server")),
        (_, Some(server)) if !server.scids.contains(&context.reference.scid) => {
            Err(Refusal::forbidden("the server's credential does not name this service config"))
        }
        _ => Ok(()),
    }
}

/// Devices without a strong title identity need `userAuthorizationStyle`, where the installation says which these are.
fn may_use_device(authorized_by_user: bool, context: &Context) -> Result<(), Refusal> {
    let is_weak = |user: &User| {
        let weak = &context.limits.weak_device_types;
        user.device_type.as_ref().is_some_and(|device| weak.iter().any(|known| known.eq_ignore_ascii_case(device)))
    };
    if !authorized_by_user && context.principal.users().iter().any(is_weak) {
        let why = "the caller's device needs a session with the capability userAuthorizationStyle";
        return Err(Refusal::forbidden(why));
    }
    Ok(())
}

/// Whether the users who ask are members, may become members, or leave (W-30).
fn may_take_part(rights: &Rights, write: &Write, entries: &Entries, context: &Context) -> Result<Leave, Refusal> {
    let session = rights.session;
    let mut takes_part = false;
    for user in rights.users {
        let own = entries.of(user).map(|own| own.entry);
        match (session.member(user.xuid), own) {
            (Some(member), Some(Some(_))) if member.state == MemberState::Reserved => access::may_play(user)?,
            (Some(_), _) => {}
            (None, Some(Some(_))) if rights.manages => access::may_play(user)?,
            (None, Some(Some(_))) => {
                may_use_device(session.has("userAuthorizationStyle"), context)?;
                access::admit(session, user, context.facts, context.pass)?;
            }
            (None, _) => continue,
        }
        takes_part = true;
    }
    if takes_part || rights.manages {
        return Ok(Leave::Go);
    }
    let only_leaves = !entries.own.is_empty() && entries.own.iter().all(|own| own.entry.is_none()) && {
        let delta = &write.delta;
        let rest =
            delta.constants.is_some() || delta.properties.is_some() || delta.servers.is_some() || delta.role_types.is_some();
        !rest && entries.others.is_empty() && entries.reserved.is_empty()
    };
    if !only_leaves {
        return Err(Refusal::forbidden("the caller is not a member of the session: writing needs members.me, which joins it"));
    }
    // Deleting what is not there succeeds for everybody; a PUT shows the session (W-35).
    if write.target == Target::Element
        || access::may_read(session, context.principal, context.facts)
        || context.pass.shows(session, context.principal)
    {
        Ok(Leave::NothingLeftToDo)
    } else {
        Err(Refusal::forbidden("the caller is not a member of the session and may not read it"))
    }
}

/// Who may name other members, and who may reserve for others (W-05, W-06, A-35).
fn may_touch_others(rights: &Rights, entries: &Entries, context: &Context) -> Result<(), Refusal> {
    let session = rights.session;
    for (index, entry) in &entries.others {
        match entry {
            // Whoever takes part in a large session learns that nobody is removed there (M-97).
            None if rights.directs() || session.is_large() => {}
            Some(entry) if rights.manages => is_for_servers(*index, entry)?,
            Some(entry) if rights.owns => is_for_owners(*index, entry, session)?,
            _ => return Err(no_other_member(*index)),
        }
    }
    if entries.reserved.is_empty() || rights.manages {
        return Ok(());
    }
    let joins = entries.own.iter().any(|own| own.entry.is_some());
    let accepted = |user: &User| session.member(user.xuid).is_some_and(|member| member.state.is_accepted());
    if !joins && !context.principal.users().iter().any(accepted) {
        return Err(Refusal::forbidden("members.reserve_N needs an accepted member"));
    }
    if session.has_owners() && !rights.owns && !allows_invites(session) {
        return Err(Refusal::forbidden("members.reserve_N: only owners reserve (ownershipPolicies.allowNonOwnerInviteHandles)"));
    }
    Ok(())
}

/// Whether members that are no owners invite and reserve too (M-90).
pub(super) fn allows_invites(session: &Session) -> bool {
    let policies = session.constants.system.get("ownershipPolicies");
    policies.and_then(|policies| policies.get("allowNonOwnerInviteHandles")).and_then(Json::as_bool).unwrap_or(false)
}

/// A server edits roles and state flags of a member, and nothing else (W-06).
fn is_for_servers(index: u32, entry: &Object) -> Result<(), Refusal> {
    let flags = |bag: &Json| {
        bag.as_object().is_some_and(|bag| {
            bag.iter().all(|(name, value)| {
                let only_flags = |fields: &Object| fields.keys().all(|key| matches!(key.as_str(), "active" | "ready"));
                name.as_str() == "system" && value.as_object().is_some_and(only_flags)
            })
        })
    };
    let allowed = entry.iter().all(|(name, value)| match name.as_str() {
        "roles" => true,
        "properties" => flags(value),
        _ => false,
    });
    if allowed {
        return Ok(());
    }
    Err(Refusal::forbidden(format!("members.{index}: a server may write roles, properties.system.active and ready only")))
}

/// An owner assigns the roles that owners assign, and nothing else (W-06, M-81).
fn is_for_owners(index: u32, entry: &Object, session: &Session) -> Result<(), Refusal> {
    let managed = |roles: &Object| roles.keys().all(|name| session.role_types.is_managed(name.as_str()) != Some(false));
    let allowed = entry.iter().all(|(name, value)| name.as_str() == "roles" && value.as_object().is_none_or(managed));
    if allowed {
        return Ok(());
    }
    Err(Refusal::forbidden(format!("members.{index}: an owner may write only roles of ownerManaged role types")))
}

/// Roles of `ownerManaged` types are assigned by owners (M-81).
fn may_assign_roles(rights: &Rights, entries: &Entries) -> Result<(), Refusal> {
    if rights.directs() {
        return Ok(());
    }
    let session = rights.session;
    let own = entries.own.iter().filter_map(|own| {
        let held = session.member(own.user.xuid).map(|member| &member.roles);
        Some((own.at.clone(), held, own.entry?))
    });
    let reserved = entries.reserved.iter().map(|(number, entry)| (format!("members.reserve_{number}"), None, *entry));
    for (at, held, entry) in own.chain(reserved) {
        let Some(roles) = entry.get("roles").and_then(Json::as_object) else { continue };
        if let Some((role_type, _)) = session.role_types.managed(held, roles) {
            return Err(Refusal::forbidden(format!("{at}.roles.{role_type}: only an owner assigns these roles (ownerManaged)")));
        }
    }
    Ok(())
}

/// Settings of roles, and system properties of a session with owners, are the owners' (W-37, M-92). What changes nothing may be
/// written by everybody.
fn may_direct(rights: &Rights, delta: &Delta, context: &Context) -> Result<(), Refusal> {
    let session = rights.session;
    if rights.directs() {
        return Ok(());
    }
    if delta.role_types.as_ref().is_some_and(|types| !session.role_types.is_repeated_by(types)) {
        return Err(Refusal::forbidden("roleTypes: only an owner changes settings of roles"));
    }
    if !session.has_owners() {
        return Ok(());
    }
    let free = session
        .constants
        .system
        .get("ownershipPolicies")
        .and_then(|policies| policies.get("nonOwnerModifiableSystemProperties")?.as_array());
    let system = delta.properties.as_ref().and_then(|properties| properties.get("system")).and_then(Json::as_object);
    for (name, value) in system.into_iter().flatten() {
        let name = name.as_str();
        let is_free =
            free.unwrap_or_default().iter().any(|known| known.as_str().is_some_and(|known| known.eq_ignore_ascii_case(name)));
        if !is_free && !repeats(session, name, value, context) {
            return Err(Refusal::forbidden(format!(
                "properties.system.{name}: only owners may write it in a session with owners"
            )));
        }
    }
    Ok(())
}

/// An accepted member says whether an episode succeeded (M-67).
fn may_judge(rights: &Rights, write: &Write, entries: &Entries) -> Result<(), Refusal> {
    let system = write.delta.properties.as_ref().and_then(|properties| properties.get("system"));
    let judges =
        system.and_then(|system| system.get("initializationSucceeded")).is_some_and(|judgement| *judgement != Json::Null);
    let accepted = |user: &User| {
        let accepts = entries.of(user).is_some_and(|own| own.entry.is_some());
        accepts || rights.session.member(user.xuid).is_some_and(|member| member.state.is_accepted())
    };
    if judges && !rights.manages && !rights.users.iter().any(accepted) {
        return Err(Refusal::forbidden("properties.system.initializationSucceeded needs an accepted member"));
    }
    Ok(())
}

/// Whether a system property says what the session says.
fn repeats(session: &Session, name: &str, value: &Json, context: &Context) -> bool {
    let Ok(Some(field)) = system::find(PROPERTIES, format_args!("properties.system"), name, context.limits) else { return false };
    let stored = session.properties.system.get(field.name);
    let given = match value {
        Json::Null => Ok(None),
        value => system::admit(&field.shape, format_args!("{name}"), value, context.limits),
    };
    match (given, stored) {
        (Ok(None), None) => true,
        (Ok(Some(given)), Some(stored)) => template::repeats(stored, &given, &field.shape),
        _ => false,
    }
}

/// A creator must be among the initiators, if they are named (S-34).
fn initiates(write: &Write, context: &Context) -> Result<(), Refusal> {
    let asked = write.delta.constants.as_ref().and_then(|constants| constants.get("system")?.get("initiators"));
    let named = match context.template.initiators() {
        Some(Json::Null) | None => asked,
        fixed => fixed,
    };
    let Some(named) = named.and_then(Json::as_array).filter(|named| !named.is_empty()) else { return Ok(()) };
    let is_named =
        |user: &User| named.iter().any(|one| system::xuid(format_args!("initiators"), one).is_ok_and(|xuid| xuid == user.xuid));
    if context.principal.users().iter().any(is_named) {
        return Ok(());
    }
    Err(Refusal::forbidden("constants.system.initiators: the caller is not among those who may create the session"))
}

fn only_servers_write_servers() -> Refusal {
    Refusal::forbidden("servers can be written by servers only")
}

fn no_other_member(index: u32) -> Refusal {
    Refusal::new(
        Kind::Forbidden,
        format!("members.{index}: only a server or an owner of the session may name another member by its index"),
    )
}
