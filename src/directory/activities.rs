//! Activities as others find them (H-50 to H-59).

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tracing::error;
use uuid::Uuid;

use super::catalog::Service;
use super::handles::handle_of;
use super::sessions::corrupt;
use super::{Directory, DirectoryError, Queries};
use crate::domain::access::{self, Nearness};
use crate::domain::handle::{ActivityQuery, Handle, Include, Owners, People};
use crate::domain::names::{MemberIndex, Scid, SessionReference, Xuid};
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::domain::session::{Session, Visibility};
use crate::json::{Json, Object};
use crate::store::rows::{ActivityRow, ActivitySessionRow};
use crate::store::{ActivitiesAsk, StoreError, With, projection};
use crate::wire::handle::{Related, Shown, render};
use crate::wire::stored;

/// The code of an active member.
const ACTIVE: i16 = 3;
/// The most activities that are looked at for one query, of which the caller may not be shown all.
const FOUND_MAX: i64 = 5000;
/// The least activities that are settled at a time.
const PAGE_MIN: usize = 32;

/// Who asks for activities, and for what of them.
#[derive(Clone, Copy)]
struct Asker<'a> {
    over: &'a Queries,
    principal: &'a Arc<Principal>,
    /// The users who ask.
    callers: &'a [u64],
    /// Their devices.
    device_ids: &'a [&'a str],
    include: Include,
}

impl Asker<'_> {
    /// What is needed of the sessions beside their columns, for what is included and nothing else: only roles take a whole session, and
    /// only what relatedInfo tells is told to those who may not read it (H-57).
    fn needs(&self) -> With {
        let Include { related_info, custom_properties, role_info, activity_info: _ } = self.include;
        let told_to_readers = custom_properties || role_info;
        With { body: related_info || told_to_readers, facts: told_to_readers, private: role_info }
    }

    /// Whether an activity is to be seen, as far as its columns tell: not in a private session that no caller is a member of (H-57),
    /// nor, with related data, where its owner does not play (H-21). A session that is due tells nothing yet.
    fn may_be_shown(&self, row: &ActivityRow, due: bool) -> bool {
        let Some(ActivitySessionRow { reference, codes, .. }) = &row.session else { return !self.include.related_info };
        let server = self.principal.is_server_for(&reference.scid.into());
        let hidden = projection::visibility_of(codes.visibility) == Visibility::Private && !codes.caller_is_member;
        let idle = self.include.related_info && codes.member_state != Some(ACTIVE);
        due || !(hidden && !server || idle)
    }
}

/// What was read of a session's document for an activity.
struct Told {
    /// Whether the caller may read the session.
    readable: bool,
    /// Its system properties, if they are told.
    system: Object,
    /// Its custom properties, if they are told.
    custom: Json,
    /// Who its members are, where that is told of some of them.
    owners: Option<Vec<(MemberIndex, Xuid)>>,
    /// All of it, if its roles are told.
    whole: Option<Session>,
}

impl Told {
    /// What is told of a session, by its columns as far as they go.
    fn related<'a>(&'a self, found: &'a ActivitySessionRow) -> Related<'a> {
        if let Some(session) = &self.whole {
            return Related::of(session);
        }
        let count = |n: i32| u64::try_from(n).unwrap_or(0);
        Related {
            invite_protocol: found.invite_protocol.as_deref().map(Cow::Borrowed),
            visibility: projection::visibility_of(found.codes.visibility),
            join_restriction: projection::restriction_of(found.codes.join_restriction),
            closed: found.closed,
            max_members: count(found.max_members),
            member_count: count(found.member_count),
            system: &self.system,
            custom: &self.custom,
            whole: None,
        }
    }
}

impl Directory {
    /// Finds the activities of users (H-50 to H-59) over the connections of all, and shows them.
    ///
    /// # Errors
    /// 403 for somebody else's list of people (H-55) and for service configs the caller may not use.
    pub async fn query_activities(
        &self,
        query: &ActivityQuery,
        principal: &Arc<Principal>,
        include: Include,
    ) -> Result<Vec<Json>, DirectoryError> {
        self.query_activities_over(&self.queries, query, principal, include).await
    }

    /// The same over a thread's own connections.
    ///
    /// They are found and put in order without documents, which are loaded only for as many as are about to be shown; at once where
    /// nearly all that can be found are: of so many owners, one each (H-20).
    ///
    /// # Errors
    /// 403 for somebody else's list of people (H-55) and for service configs the caller may not use.
    pub async fn query_activities_over(
        &self,
        over: &Queries,
        query: &ActivityQuery,
        principal: &Arc<Principal>,
        include: Include,
    ) -> Result<Vec<Json>, DirectoryError> {
        if let Some(scid) = &query.scid {
            self.catalog.service(scid, principal)?;
        }
        let owners: Vec<u64> = match &query.owners {
            Owners::Xuids(xuids) => xuids.iter().map(|xuid| xuid.0).collect(),
            Owners::People(people) => self.people(people, query.scid.as_ref().map(Scid::id), principal).await?,
        };
        if query.take == 0 {
            return Ok(Vec::new());
        }
        let callers: Vec<u64> = principal.users().iter().map(|user| user.xuid.0).collect();
        let device_ids: Vec<&str> = principal.users().iter().filter_map(|user| user.device_id.as_deref()).collect();
        let asker = Asker { over, principal, callers: &callers, device_ids: &device_ids, include };
        let few = query.owners.people().is_none() && query.scid.is_some() && owners.len() <= query.take;
        let at_once = if few { asker.needs() } else { With::default() };
        let ask = ActivitiesAsk {
            owners: &owners,
            scid: query.scid.map(|scid| scid.id()),
            callers: asker.callers,
            device_ids: asker.device_ids,
            with: at_once,
            newest_first: query.owners.people().is_some(),
            only: None,
            limit: FOUND_MAX,
        };
        let mut rows = VecDeque::from(self.find_activities(over, ask).await?);
        let mut seen = HashSet::new();
        let usable = |scid: Uuid| self.catalog.service(&scid.into(), principal).is_ok();
        rows.retain(|row| seen.insert(row.handle.id) && usable(row.handle.reference.scid));
        let mut results = Vec::new();
        while results.len() < query.take && !rows.is_empty() {
            let count = (query.take - results.len()).max(PAGE_MIN).min(rows.len());
            let mut page = VecDeque::from(self.settled_activities(rows.drain(..count).collect(), asker, at_once).await?);
            page.retain(|row| asker.may_be_shown(row, self.is_due_activity(row)));
            while results.len() < query.take && !page.is_empty() {
                let count = (query.take - results.len()).min(page.len());
                let mut part: Vec<ActivityRow> = page.drain(..count).collect();
                if at_once != asker.needs() {
                    part = self.read_again(part, asker, asker.needs()).await?;
                }
                for row in part {
                    results.extend(self.try_show_activity(&row, asker).await?);
                }
            }
        }
        Ok(results)
    }

    /// Finds activities when it is this query's turn.
    async fn find_activities(&self, over: &Queries, ask: ActivitiesAsk<'_>) -> Result<Vec<ActivityRow>, DirectoryError> {
        let (store, _turn) = over.turn().await?;
        Ok(store.find_activities(ask, self.clock.now()).await?)
    }

    fn is_due_activity(&self, row: &ActivityRow) -> bool {
        let due = row.session.as_ref().and_then(|session| session.next_timer_at);
        due.is_some_and(|due| due <= self.clock.now())
    }

    /// Settles what is due among some activities, together, and reads them again if anything was (M-24).
    async fn settled_activities(
        &self,
        rows: Vec<ActivityRow>,
        asker: Asker<'_>,
        with: With,
    ) -> Result<Vec<ActivityRow>, DirectoryError> {
        let sid = |row: &ActivityRow| Some(row.session.as_ref()?.reference.sid);
        let due: BTreeSet<Uuid> = rows.iter().filter(|row| self.is_due_activity(row)).filter_map(sid).collect();
        if due.is_empty() {
            return Ok(rows);
        }
        self.settle_all(due).await?;
        self.read_again(rows, asker, with).await
    }

    /// Reads activities again, in the order they come in; those that ended are left out.
    async fn read_again(&self, rows: Vec<ActivityRow>, asker: Asker<'_>, with: With) -> Result<Vec<ActivityRow>, DirectoryError> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.handle.id).collect();
        let owners: BTreeSet<u64> = rows.iter().filter_map(|row| row.handle.owner).collect();
        let ask = ActivitiesAsk {
            owners: &owners.into_iter().collect::<Vec<_>>(),
            scid: None,
            callers: asker.callers,
            device_ids: asker.device_ids,
            with,
            newest_first: false,
            only: Some(&ids),
            limit: FOUND_MAX,
        };
        let found = self.find_activities(asker.over, ask).await?;
        let mut found: HashMap<Uuid, ActivityRow> = found.into_iter().map(|row| (row.handle.id, row)).collect();
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// The users of a moniker (H-53, H-55); where everybody follows everybody, those who play in a service config or in any.
    ///
    /// # Errors
    /// 403 for somebody else's list.
    pub(super) async fn people(
        &self,
        people: &People,
        scid: Option<Uuid>,
        principal: &Principal,
    ) -> Result<Vec<u64>, DirectoryError> {
        let own = |of: Xuid| principal.users().iter().any(|user| user.xuid == of);
        let Some(of) = people.of.or(principal.xuid()).filter(|of| principal.manages() || own(*of)) else {
            return Err(Refusal::forbidden("people.monikerXuid: only the caller's own list may be used").into());
        };
        Ok(if self.options.everybody_follows && !people.favorites {
            self.store.list_newest_owners(of.0, scid, FOUND_MAX).await?
        } else {
            self.store.list_follows(of.0, people.favorites).await?
        })
    }

    /// Renders one activity; `None` when it is not to be seen, or cannot be: one session must not fail the others.
    async fn try_show_activity(&self, row: &ActivityRow, asker: Asker<'_>) -> Result<Option<Json>, DirectoryError> {
        let Ok(service) = self.catalog.service(&row.handle.reference.scid.into(), asker.principal) else { return Ok(None) };
        match self.show_activity(row, asker, &service).await {
            Err(DirectoryError::Store(error @ StoreError::Corrupt { .. })) => {
                error!(handle.id = %row.handle.id, %error, "an activity is left out: its session cannot be read");
                Ok(None)
            }
            shown => shown,
        }
    }

    /// Renders one activity for a query; `None` when the caller is not to see it (H-21, H-57, H-58).
    async fn show_activity(
        &self,
        row: &ActivityRow,
        asker: Asker<'_>,
        service: &Service,
    ) -> Result<Option<Json>, DirectoryError> {
        let mut handle = handle_of(&row.handle)?;
        let owner = |(index, xuid): &(i32, u64)| Some((MemberIndex::try_from(*index).ok()?, Xuid(*xuid)));
        let owners = row.session.iter().flat_map(|found| found.owners.iter().filter_map(owner)).collect::<Vec<_>>();
        if self.is_due_activity(row) {
            return self.show_due_activity(handle, &owners, asker, service).await;
        }
        if !asker.may_be_shown(row, false) {
            return Ok(None);
        }
        let game_types = service.game_types();
        let Some(found) = &row.session else { return Ok(Some(render(&Shown::bare(&handle, game_types), asker.include))) };
        let at = &found.reference;
        handle.reference = projection::reference_of(at).ok_or_else(|| corrupt(at.sid))?;
        let told = self
            .read_found(found, &handle.reference, asker)
            .map_err(|error| StoreError::Corrupt { reference: handle.reference.to_string(), why: error.to_string() })?;
        let session = Some(told.related(found));
        let shown = Shown {
            handle: &handle,
            session,
            readable: told.readable,
            owners: told.owners.as_ref().unwrap_or(&owners),
            game_types,
        };
        Ok(Some(render(&shown, asker.include)))
    }

    /// Reads from the document of a session what an activity tells of it, and no more.
    fn read_found(
        &self,
        found: &ActivitySessionRow,
        reference: &SessionReference,
        asker: Asker<'_>,
    ) -> Result<Told, stored::Corrupt> {
        let (include, with) = (asker.include, asker.needs());
        let mut told = Told { readable: false, system: Object::new(), custom: Json::object(), owners: None, whole: None };
        let Some(body) = &found.body else { return Ok(told) };
        if with.facts {
            told.readable = self.may_read_found(found, body, reference, asker.principal)?;
        }
        if let Some(private) = &found.private {
            told.whole = Some(stored::read(reference, body, private)?);
            return Ok(told);
        }
        if include.related_info {
            let Json::Object(system) = stored::part(body, &["properties", "system"])? else {
                return Err(stored::Corrupt::new("properties.system is no object"));
            };
            // Those of a large session have come along, because its document does not name them.
            if system.contains_key("owners") && found.owners.is_empty() {
                told.owners = Some(stored::whos_who(body)?);
            }
            told.system = system;
        }
        if include.custom_properties && told.readable {
            told.custom = stored::part(body, &["properties", "custom"])?;
        }
        Ok(told)
    }

    /// Whether the caller may read a session, by what its row tells about the caller and by what its document alone allows, be it as a
    /// viewer of a broadcast.
    fn may_read_found(
        &self,
        found: &ActivitySessionRow,
        body: &str,
        reference: &SessionReference,
        principal: &Principal,
    ) -> Result<bool, stored::Corrupt> {
        let near = Nearness {
            member: found.codes.caller_is_member,
            followed: found.codes.facts.followed || (self.options.everybody_follows && found.accepted_count > 0),
            local: found.codes.facts.local,
        };
        let (visibility, restriction) =
            (projection::visibility_of(found.codes.visibility), projection::restriction_of(found.codes.read_restriction));
        if near.may_read(visibility, restriction) || principal.is_server_for(&reference.scid) {
            return Ok(true);
        }
        if principal.users().iter().all(|user| user.title_id.is_none()) {
            return Ok(false);
        }
        let constants = stored::part(body, &["constants", "system"])?;
        let views = |user| constants.as_object().is_some_and(|constants| access::views_broadcast(constants, user));
        Ok(principal.users().iter().any(views))
    }

    /// Renders an activity whose session is due, though it was settled just now: by its settled state in memory.
    async fn show_due_activity(
        &self,
        mut handle: Handle,
        owners: &[(MemberIndex, Xuid)],
        asker: Asker<'_>,
        service: &Service,
    ) -> Result<Option<Json>, DirectoryError> {
        let Asker { principal, include, .. } = asker;
        let view = self.view_with(handle.reference.sid(), principal, handle.owner.into_iter().collect()).await?;
        // A session that ended takes the handle along.
        let Some(session) = view.session else { return Ok(None) };
        let readable = access::may_read(&session, principal, &view.facts);
        let server = principal.is_server_for(&handle.reference.scid);
        let member = principal.users().iter().any(|user| session.member(user.xuid).is_some());
        let hidden = session.visibility() == Visibility::Private && !member && !server;
        if hidden || (include.related_info && !handle.is_lived(&session)) {
            return Ok(None);
        }
        handle.reference = session.reference.clone();
        let game_types = service.game_types();
        let shown = Shown { handle: &handle, session: Some(Related::of(&session)), readable, owners, game_types };
        Ok(Some(render(&shown, include)))
    }
}
