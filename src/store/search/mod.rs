//! Search handles found by a filter, in an order, from indexes only.
//!
//! There are two ways. *Walking* follows the index of the order, looks at each session and stops when the page is full: it costs the
//! page divided by the share of sessions that match. *Fetching* takes all sessions that an index gives for the narrowest condition of
//! the filter (its [`cover`]), and sorts those that match: it costs their number. How many sessions each condition gives is counted
//! first, up to a limit. A condition that few sessions meet is fetched, at the latest when a walk has looked at as many sessions as it
//! gives, so that no search takes more than twice the better way. Otherwise there is a walk, and if it takes half of what a search may
//! look at, the narrowest condition is fetched after all unless it gives more than the other half: then the search is refused.
//!
//! The planner has no say in this: every lookup goes by a key (`compile`), and each statement looks at a chunk of known size.

mod compile;
mod cover;
mod leaf;
mod sql;
mod walk;

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tracing::{debug, instrument};
use uuid::Uuid;

pub use self::compile::Beside;
use self::compile::{Lists, condition, is_shown};
use self::cover::{bounds, cover};
use self::leaf::Leaf;
use self::sql::{Scopes, Sql, push_each};
use self::walk::{Source, Walk, push_after, push_order};
use super::rows::SearchRow;
use super::{Store, StoreError};
use crate::domain::filter::{Filter, Kind, List, Operator, Order, OrderBy, Predicate, Scalar};
use crate::domain::search::{KeyValue, SearchKey};

/// How many sessions a condition may give to be fetched, but for the last resort.
const FETCH_SOON: i64 = 2000;
/// How few of them are fetched without walking first.
const FETCH_AT_ONCE: i64 = 200;
/// How many sessions the first statement of a walk looks at, and how many any other at most.
const CHUNK: i64 = 256;
const CHUNK_MAX: i64 = 4096;
/// How many sessions a statement looks at at least to read all sessions of a value for it: planning that takes as long as some hundred
/// lookups.
const LIST_FROM: i64 = 1024;
/// How many sessions of a value are read at once at most: as a hash they take some 300 KB of `work_mem`, which must not be less.
const LIST_MAX: i64 = 8192;
/// How many tests a filter may have for that: each takes its time to be planned.
const LISTED_TESTS: i64 = 8;
/// How many sessions a statement looks at at least, however many places are searched.
const SIZE_MIN: i64 = 64;

/// A search.
#[derive(Debug, Clone, Copy)]
pub struct SearchAsk<'a> {
    /// Service configs and templates in lower case.
    pub scopes: &'a [(Uuid, String)],
    /// What sessions must meet.
    pub filter: Option<&'a Filter>,
    /// What else is asked of them.
    pub beside: &'a Beside,
    /// The order of the results.
    pub order: &'a Order,
    /// Where the page begins; `None`: at the first.
    pub after: Option<&'a SearchKey>,
    /// The most results.
    pub take: i64,
    /// Whether the documents of the sessions come along.
    pub with_body: bool,
    /// The most sessions to look at.
    pub most: i64,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Searched {
    /// These, in the order.
    Found {
        /// The results.
        rows: Vec<SearchRow>,
        /// Where to go on, if they are fewer than asked for because enough sessions were looked at.
        rest: Option<SearchKey>,
    },
    /// Finding them would have taken more sessions to look at than are allowed.
    TooExpensive,
}

impl Store {
    /// Finds listed sessions that are not private (H-71 to H-89).
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.search", level = "debug", skip_all)]
    pub async fn search(&self, ask: SearchAsk<'_>) -> Result<Searched, StoreError> {
        let scopes = self.listed_scopes(ask.scopes).await?;
        if scopes.is_empty() {
            return Ok(Searched::Found { rows: Vec::new(), rest: None });
        }
        let ask = SearchAsk { scopes: &scopes, most: (ask.most * 8 / weight(ask.filter).max(8)).max(1), ..ask };
        let (leaves, cover) = cover(ask.filter, ask.beside);
        let soon = FETCH_SOON.min(ask.most / 2);
        let counts = self.count(&leaves, ask.scopes, soon).await?;
        let mut search = Search { store: self, ask, left: ask.most, walked: 0, statements: 0, found: Vec::new(), rest: None };
        let narrow = cover.as_ref().map(|cover| cover.cheapest(&counts)).filter(|(_, count)| *count <= soon);
        if let Some((chosen, count)) = narrow {
            search.left = count;
            if count <= FETCH_AT_ONCE || !search.walk(None).await? {
                search.fetch(&pick(&leaves, &chosen), count).await?;
            }
            return Ok(search.done());
        }
        if cover.is_some() {
            search.left /= 2;
        }
        // The narrowest condition gives many sessions; if it gives them in the order, only those are walked.
        if search.walk(narrowest(&leaves, &counts, ask)).await? {
            return Ok(search.done());
        }
        if let Some(cover) = cover {
            let (chosen, count) = cover.cheapest(&self.count(&leaves, ask.scopes, ask.most / 2).await?);
            if count <= ask.most / 2 {
                search.fetch(&pick(&leaves, &chosen), count).await?;
                return Ok(search.done());
            }
        }
        Ok(if search.rest.is_some() { search.done() } else { Searched::TooExpensive })
    }

    /// Those of some scopes that have listed sessions at all.
    async fn listed_scopes(&self, scopes: &Scopes) -> Result<Vec<(Uuid, String)>, StoreError> {
        if scopes.len() < 2 {
            return Ok(scopes.to_vec());
        }
        let (scids, templates): (Vec<Uuid>, Vec<&str>) = scopes.iter().map(|(scid, template)| (*scid, template.as_str())).unzip();
        let query = sqlx::query(include_str!("../sql/find_listed_scopes.sql")).bind(scids).bind(templates);
        let rows = self.rows(query).await?;
        rows.iter().map(|row| Ok((row.try_get("scid")?, row.try_get("template_key")?))).collect()
    }

    /// How many sessions each leaf gives, counted up to one more than this.
    async fn count(&self, leaves: &[Leaf], scopes: &Scopes, most: i64) -> Result<Vec<i64>, StoreError> {
        if leaves.is_empty() {
            return Ok(Vec::new());
        }
        Ok(count_statement(leaves, scopes, most).build_query_scalar().persistent(false).fetch_one(&self.pool).await?)
    }

    /// Finds listed sessions whose timer has passed: what searches see of them is not what they will be shown as (M-24).
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.search.due", level = "debug", skip_all)]
    pub async fn find_due_listed(&self, now: DateTime<Utc>) -> Result<Vec<Uuid>, StoreError> {
        let query = sqlx::query(include_str!("../sql/find_due_listed.sql")).bind(now);
        let rows = self.rows(query).await?;
        rows.iter().map(|row| Ok(row.try_get("sid")?)).collect()
    }
}

/// Writes the statement that counts what leaves give.
fn count_statement(leaves: &[Leaf], scopes: &Scopes, most: i64) -> Sql {
    let mut sql = Sql::new("select array[");
    for (n, leaf) in leaves.iter().enumerate() {
        sql.push(if n == 0 { "" } else { ", " });
        leaf.push_count(&mut sql, scopes, most + 1);
    }
    sql.push("]");
    sql
}

/// The leaf that gives the fewest sessions of those that stand as conditions of their own and give them in the order that is asked for.
fn narrowest<'l>(leaves: &'l [Leaf], counts: &[i64], ask: SearchAsk) -> Option<&'l Leaf> {
    if ask.order.by != OrderBy::Posted || ask.filter.is_some_and(|filter| !is_conjunction(filter)) {
        return None;
    }
    let in_order = leaves.iter().zip(counts).filter(|(leaf, _)| leaf.is_in_order());
    in_order.min_by_key(|(_, count)| **count).map(|(leaf, _)| leaf)
}

/// The leaves at these places.
fn pick<'l>(leaves: &'l [Leaf], places: &[usize]) -> Vec<&'l Leaf> {
    places.iter().map(|at| &leaves[*at]).collect()
}

/// Whether every leaf of a filter holds for whatever matches it.
fn is_conjunction(filter: &Filter) -> bool {
    match filter {
        Filter::All(parts) => parts.iter().all(is_conjunction),
        Filter::Any(_) => false,
        Filter::Not(_) => true,
        Filter::Scalar(_, predicate) | Filter::List(_, predicate) => !matches!(predicate, Predicate::In(_)),
    }
}

/// A search under way.
struct Search<'a> {
    store: &'a Store,
    ask: SearchAsk<'a>,
    /// How many more sessions may be looked at.
    left: i64,
    /// How many were looked at.
    walked: i64,
    /// In how many statements.
    statements: usize,
    found: Vec<SearchRow>,
    /// Where a walk among the last results stopped.
    rest: Option<SearchKey>,
}

impl Search<'_> {
    fn done(self) -> Searched {
        debug!(self.walked, self.statements, found = self.found.len(), "searched");
        Searched::Found { rows: self.found, rest: self.rest }
    }

    fn is_full(&self) -> bool {
        i64::try_from(self.found.len()).is_ok_and(|found| found >= self.ask.take)
    }

    /// Follows the order until the page is full or there are no more; false when too many sessions would have to be looked at.
    async fn walk(&mut self, leaf: Option<&Leaf>) -> Result<bool, StoreError> {
        let ask = self.ask;
        match &ask.order.by {
            OrderBy::Posted => self.walk_posted(ask.scopes, leaf, None, &KeyValue::None).await,
            OrderBy::Scalar(Scalar::RegistrationState | Scalar::PostedTime) => {
                self.walk_posted(ask.scopes, leaf, None, &KeyValue::None).await
            }
            OrderBy::Scalar(scalar @ (Scalar::Scid | Scalar::TemplateName)) => self.walk_places(scalar).await,
            OrderBy::Scalar(scalar) => self.walk_values(scalar).await,
        }
    }

    /// Walks service configs or templates in the order of their names, each in the order of posting.
    async fn walk_places(&mut self, scalar: &Scalar) -> Result<bool, StoreError> {
        let name = |(scid, template): &(Uuid, String)| if *scalar == Scalar::Scid { scid.to_string() } else { template.clone() };
        let mut names: Vec<String> = self.ask.scopes.iter().map(name).collect();
        names.sort_unstable();
        names.dedup();
        if self.ask.order.descending {
            names.reverse();
        }
        if let Some(SearchKey { value: KeyValue::Text(at), .. }) = self.ask.after {
            names.retain(|name| if self.ask.order.descending { name <= at } else { name >= at });
        }
        for place in names {
            let scopes: Vec<_> = self.ask.scopes.iter().filter(|scope| name(scope) == place).cloned().collect();
            if !self.walk_posted(&scopes, None, None, &KeyValue::Text(place)).await? {
                return Ok(false);
            }
            if self.is_full() {
                break;
            }
        }
        Ok(true)
    }

    /// Walks the values of an attribute, then the sessions that lack it.
    async fn walk_values(&mut self, scalar: &Scalar) -> Result<bool, StoreError> {
        let (required, low, high) = bounds(self.ask.filter, scalar);
        let attribute = scalar.key();
        let is_text = scalar.kind() == Kind::Text;
        let begun = self.ask.after.is_none_or(|after| after.value != KeyValue::None);
        if begun {
            let source = Source::Values { attribute: &attribute, is_text, low, high };
            if !self.walk_source(self.ask.scopes, source, self.ask.after.cloned()).await? {
                return Ok(false);
            }
        }
        if self.is_full() || required || scalar.is_always_there() {
            return Ok(true);
        }
        self.walk_posted(self.ask.scopes, None, Some(&attribute), &KeyValue::None).await
    }

    /// Walks in the order of posting: all sessions, those that a leaf gives, or those that lack an attribute. `value` is the one that
    /// all of them have.
    async fn walk_posted(
        &mut self,
        scopes: &Scopes,
        leaf: Option<&Leaf>,
        lacking: Option<&str>,
        value: &KeyValue,
    ) -> Result<bool, StoreError> {
        let after = self.ask.after.filter(|after| after.value == *value).cloned();
        let (_, low, high) = bounds(self.ask.filter, &Scalar::PostedTime);
        let source = Source::Posted { leaf, lacking, value, low, high };
        self.walk_source(scopes, source, after).await
    }

    async fn walk_source(&mut self, scopes: &Scopes, source: Source<'_>, after: Option<SearchKey>) -> Result<bool, StoreError> {
        let mut after = after;
        let mut chunk = CHUNK.max(self.ask.take * 2).min(CHUNK_MAX);
        let places = i64::try_from(scopes.len()).unwrap_or(i64::MAX);
        let mut first = true;
        while !self.is_full() {
            let lacks = matches!(source, Source::Posted { lacking: Some(_), .. });
            // A walk among the last results looks at some in any case, so that every page gets on.
            if self.left <= 0 && !(lacks && first) {
                if lacks {
                    self.rest = after;
                }
                return Ok(false);
            }
            first = false;
            // Every scope gives as many, of which so many are looked at.
            let size = (chunk / places).max(SIZE_MIN).min(self.left.max(1));
            let walk = Walk { scopes, source, after: after.as_ref(), descending: self.ask.order.descending, size };
            let mut sql = self.walk_statement(Sql::default(), &walk);
            let rows = sql.build().persistent(false).fetch_all(&self.store.pool).await?;
            let Some(last) = rows.first() else { return Ok(true) };
            let walked: i64 = last.try_get("walked")?;
            self.left -= walked.max(places * size / 8);
            self.walked += walked;
            self.statements += 1;
            after = Some(SearchKey {
                value: key_value(last.try_get("last_number")?, last.try_get("last_text")?),
                posted_at: last.try_get("last_posted_at")?,
                sid: last.try_get("last_sid")?,
            });
            self.take_rows(&rows)?;
            if walked < size {
                return Ok(true);
            }
            chunk = self.next_chunk(chunk);
        }
        Ok(true)
    }

    /// How many sessions to look at next: as many as will fill the page if matches go on as they came.
    fn next_chunk(&self, last: i64) -> i64 {
        let found = i64::try_from(self.found.len()).unwrap_or(i64::MAX);
        let walked = self.walked;
        if found == 0 { (last * 4).min(CHUNK_MAX) } else { (self.missing() * walked / found * 5 / 4).clamp(CHUNK, CHUNK_MAX) }
    }

    /// Writes the statement of a piece of a walk: what matches in it, and where it ended.
    fn walk_statement(&self, mut sql: Sql, walk: &Walk) -> Sql {
        let lists = self.lists(walk.scopes, walk.size);
        sql.push("with ");
        lists.push(&mut sql);
        sql.push("walked as materialized (");
        walk.push(&mut sql);
        sql.push("), hit as (select c.* from (select c.* from walked c where ");
        condition(&mut sql, self.ask.filter, self.ask.beside, &lists);
        if let Source::Posted { lacking: Some(attribute), .. } = walk.source {
            sql.push(" and (select true from search_values l where l.sid = c.sid and l.attribute = ");
            sql.push_bind(attribute.to_owned()).push(") is null");
        }
        sql.push(" offset 0) c where ");
        is_shown(&mut sql);
        push_order(&mut sql, self.ask.order.descending, false);
        sql.push(" limit ").push(self.missing()).push(")");
        sql.push(
            " select n.walked, e.number as last_number, e.text as last_text, e.posted_at as last_posted_at, e.sid as last_sid,",
        );
        sql.push(" m.* from (select count(*) as walked from walked) n cross join (select c.* from walked c");
        push_order(&mut sql, !self.ask.order.descending, false);
        sql.push(" limit 1) e left join lateral (");
        self.push_found(&mut sql);
        sql.push(") m on true");
        push_found_order(&mut sql, self.ask.order.descending, false);
        sql
    }

    /// Fetches what leaves give, which is so much, and sorts what matches; what a walk has found counts no more.
    async fn fetch(&mut self, leaves: &[&Leaf], count: i64) -> Result<(), StoreError> {
        self.found.clear();
        self.rest = None;
        let rows =
            self.fetch_statement(Sql::default(), leaves, count).build().persistent(false).fetch_all(&self.store.pool).await?;
        self.take_rows(&rows)
    }

    /// Writes the statement of a fetch.
    fn fetch_statement(&self, mut sql: Sql, leaves: &[&Leaf], count: i64) -> Sql {
        let descending = self.ask.order.descending;
        let lists = self.lists(self.ask.scopes, count);
        sql.push("with ");
        lists.push(&mut sql);
        sql.push("source as materialized (select distinct sid, posted_at, scid, template_key from (select null::uuid");
        sql.push(" as sid, null::timestamptz as posted_at, null::uuid as scid, null::text as template_key where false");
        for leaf in leaves {
            sql.push(" union all ");
            push_each(&mut sql, self.ask.scopes, "one.sid, one.posted_at", true, |sql, place| {
                leaf.push(sql, place);
                sql.push(" offset 0");
            });
        }
        sql.push(") any_of), keyed as (select c.sid, c.posted_at, c.scid, c.template_key, ");
        walk::push_keys(&mut sql, &self.ask.order.by);
        sql.push(" from source c), hit as (select c.* from (select c.* from keyed c where ");
        condition(&mut sql, self.ask.filter, self.ask.beside, &lists);
        if let Some(after) = self.ask.after {
            sql.push(" and ");
            push_after(&mut sql, after, descending);
        }
        sql.push(" offset 0) c where ");
        is_shown(&mut sql);
        push_order(&mut sql, descending, true);
        sql.push(" limit ").push(self.missing()).push(") ");
        self.push_found(&mut sql);
        push_found_order(&mut sql, descending, true);
        sql
    }

    /// The lists of sessions that a statement reads which looks at so many sessions of some scopes.
    fn lists<'s>(&self, scopes: &'s Scopes, looked_at: i64) -> Lists<'s> {
        let filter = self.ask.filter.filter(|filter| looked_at >= LIST_FROM && weight(Some(filter)) <= LISTED_TESTS);
        Lists::new(filter, scopes, (looked_at * 2).min(LIST_MAX))
    }

    fn missing(&self) -> i64 {
        self.ask.take - i64::try_from(self.found.len()).unwrap_or(i64::MAX)
    }

    /// Writes the rows of `hit` with their handles and sessions.
    fn push_found(&self, sql: &mut Sql) {
        sql.push(
            "select c.number, c.text, c.posted_at, c.sid as key_sid, h.id, h.type, h.owner, h.title_id, h.invited, h.created_at,
                h.expires_at, h.document, h.origin_sid, h.origin_scid, h.sid as handle_sid, h.scid as handle_scid,
                h.scid_spelling as handle_scid_spelling, h.template as handle_template, h.name as handle_name, s.next_timer_at, ",
        );
        sql.push(if self.ask.with_body {
            "s.body, s.private, o.indices as owner_indices, o.xuids as owner_xuids"
        } else {
            "null::text as body, null::text as private, null::int[] as owner_indices, null::bigint[] as owner_xuids"
        });
        sql.push(
            " from hit c
            cross join lateral (select * from handles h where h.sid = c.sid and h.type = 2 limit 1) h
            cross join lateral (select * from sessions s where s.sid = c.sid limit 1) s",
        );
        if self.ask.with_body {
            sql.push(
                " left join lateral (
                    select array_agg(m.index) as indices, array_agg(m.xuid) as xuids
                    from members m
                    where s.large and m.sid = s.sid and m.owner
                ) o on true",
            );
        }
    }

    fn take_rows(&mut self, rows: &[PgRow]) -> Result<(), StoreError> {
        for row in rows {
            if row.try_get::<Option<Uuid>, _>("id")?.is_none() {
                continue;
            }
            let found = SearchRow::read(row)?;
            // What moves in the order between two statements is not to be found twice.
            if self.found.iter().all(|other| other.key.sid != found.key.sid) {
                self.found.push(found);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Store {
    /// In how many statements the walk of a search ends.
    pub(super) async fn walk_statements(&self, ask: SearchAsk<'_>) -> usize {
        let mut search = Search { store: self, ask, left: ask.most, walked: 0, statements: 0, found: Vec::new(), rest: None };
        assert!(search.walk(None).await.unwrap(), "it is not refused");
        search.statements
    }

    /// The statements of a search: counting its conditions, walking and fetching, as plans that were run like this.
    pub(super) async fn explain(&self, ask: SearchAsk<'_>) -> [String; 3] {
        let (leaves, cover) = cover(ask.filter, ask.beside);
        let counts = self.count(&leaves, ask.scopes, FETCH_SOON).await.unwrap();
        let search = Search { store: self, ask, left: ask.most, walked: 0, statements: 0, found: Vec::new(), rest: None };
        let attribute = if let OrderBy::Scalar(scalar) = &ask.order.by { Some((scalar, scalar.key())) } else { None };
        let source = if let Some((scalar, attribute)) = &attribute {
            let (_, low, high) = bounds(ask.filter, scalar);
            Source::Values { attribute, is_text: scalar.kind() == Kind::Text, low, high }
        } else {
            let leaf = narrowest(&leaves, &counts, ask);
            let (_, low, high) = bounds(ask.filter, &Scalar::PostedTime);
            Source::Posted { leaf, lacking: None, value: &KeyValue::None, low, high }
        };
        let walk = Walk { scopes: ask.scopes, source, after: None, descending: ask.order.descending, size: CHUNK_MAX };
        let (chosen, count) = cover.unwrap().cheapest(&counts);
        let chosen = pick(&leaves, &chosen);
        let mut connection = self.pool.acquire().await.unwrap();
        let settings = "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;
            set auto_explain.log_buffers = on; set auto_explain.log_timing = off";
        sqlx::raw_sql(settings).execute(&mut *connection).await.unwrap();
        let log = super::tests::log();
        let mut plans = Vec::new();
        for mut statement in [
            count_statement(&leaves, ask.scopes, FETCH_SOON),
            search.walk_statement(Sql::default(), &walk),
            search.fetch_statement(Sql::default(), &chosen, count),
        ] {
            let before = std::fs::read_to_string(&log).unwrap().len();
            statement.build().persistent(false).fetch_all(&mut *connection).await.unwrap();
            let logged = std::fs::read_to_string(&log).unwrap().split_off(before);
            let plan = logged.lines().skip_while(|line| !line.contains("cost=")).map(|line| line.trim_start_matches('\t'));
            plans.push(plan.collect::<Vec<_>>().join("\n"));
        }
        plans.try_into().unwrap()
    }
}

/// Writes the order of the results once more: joins need not keep it.
fn push_found_order(sql: &mut Sql, descending: bool, with_missing: bool) {
    let way = if descending { " desc" } else { "" };
    sql.push(" order by ");
    if with_missing {
        sql.push("(number is null and text is null), ");
    }
    sql.push(format_args!("number{way}, text{way}, posted_at{way}, key_sid{way}"));
}

pub(super) fn key_value(number: Option<f64>, text: Option<String>) -> KeyValue {
    match (number, text) {
        (Some(number), _) => KeyValue::Number(number),
        (None, Some(text)) => KeyValue::Text(text),
        (None, None) => KeyValue::None,
    }
}

/// What looking at one session costs, in tests; those that look at all its members count as many.
fn weight(filter: Option<&Filter>) -> i64 {
    let tests = |predicate: &Predicate| match predicate {
        Predicate::In(literals) => i64::try_from(literals.len()).unwrap_or(i64::MAX),
        _ => 1,
    };
    match filter {
        None => 0,
        Some(Filter::All(parts) | Filter::Any(parts)) => parts.iter().map(|part| weight(Some(part))).sum(),
        Some(Filter::Not(part)) => weight(Some(part)),
        Some(Filter::List(List::MemberXuids | List::OwnerXuids, predicate)) => match predicate {
            Predicate::In(_) | Predicate::Compare(Operator::Eq | Operator::Ne, _) => tests(predicate),
            _ => 16,
        },
        Some(Filter::Scalar(_, predicate) | Filter::List(_, predicate)) => tests(predicate),
    }
}
