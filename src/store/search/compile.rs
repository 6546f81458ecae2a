//! A filter as a condition in SQL, every value of it bound.
//!
//! The condition is about a row `c` with `sid`, `scid`, `template_key` and `posted_at` of a listed session. Every lookup in it is a
//! scalar subquery by the primary key of a row of that session: the planner cannot turn it into a join that reads a whole index.
//!
//! Where a test is whether a session has one value, and few sessions have it, those are read at once and the session is looked up among
//! them: entries of an index that lie side by side take a tenth of the time of as many that lie anywhere.

use super::leaf::{Leaf, has_rows};
use super::sql::{Scopes, Sql, columns};
use crate::domain::filter::{Filter, Kind, List, Literal, Operator, Predicate, Scalar};
use crate::domain::listing::micros;
use crate::domain::names::Xuid;

/// What else is asked of a session beside the filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// At least one of these is a member (H-77).
    pub members: Option<Vec<u64>>,
    /// At least one of these is an owner.
    pub owners: Option<Vec<u64>>,
    /// No owner blocks one of these users (H-73).
    pub unblocked: Vec<u64>,
    /// Who asks: of a large session, whose members are hidden from each other, only they and the owners are found among them (M-95).
    pub callers: Vec<u64>,
}

/// The tests of a filter that ask for one value, as lists of all sessions that have it.
#[derive(Debug)]
pub(super) struct Lists<'a> {
    leaves: Vec<Leaf>,
    scopes: &'a Scopes,
    most: i64,
}

impl<'a> Lists<'a> {
    /// Those of a filter, none where there is none, for sessions of some scopes; longer ones than `most` are not read.
    pub fn new(filter: Option<&Filter>, scopes: &'a Scopes, most: i64) -> Self {
        let mut leaves = Vec::new();
        if let Some(filter) = filter {
            collect(filter, &mut leaves);
        }
        Self { leaves, scopes, most }
    }

    /// Writes them as parts of a `with`, each with a comma behind it. Each is read once a statement, when it is needed first.
    pub fn push(&self, sql: &mut Sql) {
        for (n, leaf) in self.leaves.iter().enumerate() {
            sql.push(format_args!("list_{n} as materialized ("));
            leaf.push_sids(sql, self.scopes, self.most + 1);
            sql.push("), ");
        }
    }

    /// Which of them has the sessions that pass a test.
    fn of(&self, test: &Filter) -> Option<usize> {
        if self.leaves.is_empty() {
            return None;
        }
        let leaf = leaf_of(test)?;
        self.leaves.iter().position(|other| *other == leaf)
    }
}

fn collect(filter: &Filter, leaves: &mut Vec<Leaf>) {
    match filter {
        Filter::All(parts) | Filter::Any(parts) => parts.iter().for_each(|part| collect(part, leaves)),
        Filter::Not(part) => collect(part, leaves),
        test => leaves.extend(leaf_of(test).filter(|leaf| !leaves.contains(leaf))),
    }
}

/// The leaf that gives just the sessions that pass a test.
fn leaf_of(filter: &Filter) -> Option<Leaf> {
    match filter {
        Filter::All(_) | Filter::Any(_) | Filter::Not(_) => None,
        Filter::Scalar(scalar, predicate) => Leaf::of_value(scalar, predicate),
        Filter::List(list, predicate) => Leaf::of_entry(*list, predicate),
    }
}

/// Writes the condition that a session is what was asked for. Its tests are made in the order in which they are written: the planner
/// knows less than we do of what they take.
pub(super) fn condition(sql: &mut Sql, filter: Option<&Filter>, beside: &Beside, lists: &Lists<'_>) {
    sql.push("(true");
    if let Some(filter) = filter {
        sql.push(" and ");
        push_filter(sql, filter, &beside.callers, lists);
    }
    for (users, owners) in [(&beside.members, false), (&beside.owners, true)] {
        if let Some(users) = users {
            // The members of the session one by one, each looked up among the users, which are many at times.
            sql.push(" and coalesce((select true from ");
            push_members(sql, owners, &beside.callers);
            sql.push(" where m.xuid in (select unnest(").push_bind(columns(users)).push("::bigint[])) limit 1), false)");
        }
    }
    if !beside.unblocked.is_empty() {
        sql.push(" and (select true from members m, blocks b where m.sid = c.sid and m.owner and b.xuid = m.xuid");
        sql.push(" and b.blocked = any(").push_bind(columns(&beside.unblocked)).push(") limit 1) is null");
    }
    sql.push(") is true");
}

/// Writes that a session is not private (H-79). It stands apart from the condition: looking it up takes longer than all of that.
pub(super) fn is_shown(sql: &mut Sql) {
    sql.push("(select s.visibility from sessions s where s.sid = c.sid) <> 2");
}

fn push_filter(sql: &mut Sql, filter: &Filter, callers: &[u64], lists: &Lists<'_>) {
    let listed = lists.of(filter);
    if let Some(n) = listed {
        let most = lists.most;
        sql.push(format_args!(
            "case when (select count(*) from list_{n}) <= {most} then c.sid in (select sid from list_{n}) else "
        ));
    }
    match filter {
        Filter::All(parts) => push_parts(sql, parts, " and ", callers, lists),
        Filter::Any(parts) => push_parts(sql, parts, " or ", callers, lists),
        Filter::Not(part) => {
            sql.push("not ");
            push_filter(sql, part, callers, lists);
        }
        Filter::Scalar(scalar, predicate) => push_scalar(sql, scalar, predicate),
        Filter::List(List::MemberXuids, predicate) => push_people(sql, false, predicate, callers),
        Filter::List(List::OwnerXuids, predicate) => push_people(sql, true, predicate, callers),
        Filter::List(list, predicate) => push_terms(sql, *list, predicate),
    }
    if listed.is_some() {
        sql.push(" end");
    }
}

fn push_parts(sql: &mut Sql, parts: &[Filter], between: &str, callers: &[u64], lists: &Lists<'_>) {
    // What takes least first.
    let mut parts: Vec<&Filter> = parts.iter().collect();
    parts.sort_by_key(|part| effort(part, lists));
    sql.push("(");
    for (n, part) in parts.into_iter().enumerate() {
        sql.push(if n == 0 { "" } else { between });
        push_filter(sql, part, callers, lists);
    }
    sql.push(")");
}

/// What a test takes beside others: nothing, a look at a list, at a row, at a member, or at all members.
fn effort(filter: &Filter, lists: &Lists<'_>) -> u8 {
    match filter {
        Filter::All(parts) | Filter::Any(parts) => parts.iter().map(|part| effort(part, lists)).max().unwrap_or(0),
        Filter::Not(part) => effort(part, lists),
        Filter::Scalar(scalar, _) if !has_rows(scalar) => 0,
        test if lists.of(test).is_some() => 1,
        Filter::List(
            List::MemberXuids | List::OwnerXuids,
            Predicate::Compare(Operator::Eq | Operator::Ne, _) | Predicate::In(_),
        ) => 3,
        Filter::List(List::MemberXuids | List::OwnerXuids, _) => 4,
        Filter::Scalar(..) | Filter::List(..) => 2,
    }
}

/// Writes a comparison of a single value; `coalesce` makes every test but `ne` false where it is missing (H-83).
fn push_scalar(sql: &mut Sql, scalar: &Scalar, predicate: &Predicate) {
    let kind = scalar.kind();
    let fits = |literal: &Literal| literal.kind() == Some(kind);
    match predicate {
        Predicate::Compare(_, literal) if !fits(literal) => {
            sql.push("false");
        }
        Predicate::Compare(Operator::Ne, literal) => {
            sql.push("(");
            push_value(sql, scalar);
            sql.push(" is distinct from ");
            push_literal(sql, scalar, literal);
            sql.push(")");
        }
        Predicate::Compare(operator, literal) => {
            sql.push("coalesce(");
            push_value(sql, scalar);
            sql.push(word(*operator));
            push_literal(sql, scalar, literal);
            sql.push(", false)");
        }
        Predicate::In(literals) => {
            sql.push("coalesce(");
            push_value(sql, scalar);
            sql.push(" in (null");
            for literal in literals.iter().filter(|literal| fits(literal)) {
                sql.push(", ");
                push_literal(sql, scalar, literal);
            }
            sql.push("), false)");
        }
        Predicate::StartsWith(text) | Predicate::Contains(text) => {
            sql.push("coalesce(");
            push_within(sql, predicate, text, |sql| push_value(sql, scalar));
            sql.push(", false)");
        }
    }
}

/// Writes whether a text begins with another or has it in it.
fn push_within(sql: &mut Sql, predicate: &Predicate, text: &str, value: impl FnOnce(&mut Sql)) {
    let (function, rest) = if matches!(predicate, Predicate::StartsWith(_)) { ("starts_with(", "") } else { ("strpos(", " > 0") };
    sql.push(function);
    value(sql);
    sql.push(", ").push_bind(text.to_owned()).push(")").push(rest);
}

fn push_value(sql: &mut Sql, scalar: &Scalar) {
    match scalar {
        Scalar::Scid => {
            sql.push("c.scid::text collate \"C\"");
        }
        Scalar::TemplateName => {
            sql.push("c.template_key collate \"C\"");
        }
        Scalar::PostedTime => {
            sql.push("c.posted_at");
        }
        Scalar::RegistrationState => {
            sql.push("null::text collate \"C\"");
        }
        other => {
            let column = if other.kind() == Kind::Text { "text" } else { "number" };
            sql.push("(select v.").push(column).push(" from search_values v where v.sid = c.sid and v.attribute = ");
            sql.push_bind(other.key()).push(")");
        }
    }
}

fn push_literal(sql: &mut Sql, scalar: &Scalar, literal: &Literal) {
    match literal {
        Literal::Text(text) => {
            sql.push_bind(text.clone());
        }
        Literal::Number(number) => {
            sql.push_bind(*number);
        }
        Literal::Truth(truth) => {
            sql.push_bind(*truth);
        }
        Literal::Instant(at) if *scalar == Scalar::PostedTime => {
            sql.push_bind(*at);
        }
        Literal::Instant(at) => {
            sql.push_bind(micros(*at));
        }
    }
}

/// The operator between a value and a literal.
fn word(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => " = ",
        Operator::Ne => " <> ",
        Operator::Gt => " > ",
        Operator::Ge => " >= ",
        Operator::Lt => " < ",
        Operator::Le => " <= ",
    }
}

fn push_terms(sql: &mut Sql, list: List, predicate: &Predicate) {
    let prefix = list.term("");
    let term = |literal: &Literal| if let Literal::Text(text) = literal { Some(list.term(text)) } else { None };
    let (negative, rest) = match predicate {
        Predicate::Compare(Operator::Ne, literal) => (true, Predicate::Compare(Operator::Eq, literal.clone())),
        other => (false, other.clone()),
    };
    sql.push(if negative { "not coalesce((" } else { "coalesce((" });
    sql.push("select true from search_terms t where t.sid = c.sid and ");
    match &rest {
        Predicate::Compare(Operator::Eq, literal) => {
            sql.push("t.term = ").push_bind(term(literal));
        }
        Predicate::In(literals) => {
            let terms: Vec<String> = literals.iter().filter_map(term).collect();
            sql.push("t.term = any(").push_bind(terms).push(")");
        }
        other => {
            // All entries of the list: a session has few of them.
            let from = prefix.len() + 1;
            sql.push("starts_with(t.term, ").push_bind(prefix).push(") and ");
            push_text_test(sql, other, |sql| {
                sql.push(format_args!("substr(t.term, {from})"));
            });
        }
    }
    sql.push(" limit 1), false)");
}

/// Writes a test of an element of a list that is there.
fn push_text_test(sql: &mut Sql, predicate: &Predicate, value: impl FnOnce(&mut Sql)) {
    match predicate {
        Predicate::Compare(operator, Literal::Text(text)) => {
            value(sql);
            sql.push(word(*operator)).push_bind(text.clone());
        }
        Predicate::StartsWith(text) | Predicate::Contains(text) => push_within(sql, predicate, text, value),
        Predicate::Compare(..) | Predicate::In(_) => {
            sql.push("false");
        }
    }
}

/// Writes the members of a session, or its owners, as rows `m`: of a large one those that the caller may know of.
fn push_members(sql: &mut Sql, owners: bool, callers: &[u64]) {
    if owners {
        sql.push("(select xuid, scid from members where sid = c.sid and owner offset 0) m");
        return;
    }
    // A session that is not large has a hundred members at most; of a large one all are hidden but owners and callers.
    sql.push("(select xuid from (select xuid, document from members where sid = c.sid limit 101) one where document is null");
    sql.push(" union all select xuid from members where xuid = any(").push_bind(columns(callers));
    sql.push(") and scid = c.scid and sid = c.sid and document is not null");
    sql.push(" union all select xuid from members where sid = c.sid and owner and document is not null) m");
}

/// Writes a test of members or owners by their xuids in decimal.
fn push_people(sql: &mut Sql, owners: bool, predicate: &Predicate, callers: &[u64]) {
    let (negative, rest) = match predicate {
        Predicate::Compare(Operator::Ne, literal) => (true, Predicate::Compare(Operator::Eq, literal.clone())),
        other => (false, other.clone()),
    };
    sql.push(if negative { "not coalesce((" } else { "coalesce((" });
    let xuids: Option<Vec<u64>> = match &rest {
        Predicate::Compare(Operator::Eq, literal) => Some(xuid(literal).into_iter().collect()),
        Predicate::In(literals) => Some(literals.iter().filter_map(xuid).collect()),
        _ => None,
    };
    if let Some(xuids) = xuids {
        sql.push("select true from members m where m.sid = c.sid and m.scid = c.scid and m.xuid = any(")
            .push_bind(columns(&xuids));
        if owners {
            sql.push(") and m.owner");
        } else {
            sql.push(") and (m.document is null or m.owner or m.xuid = any(").push_bind(columns(callers)).push("))");
        }
    } else {
        sql.push("select true from ");
        push_members(sql, owners, callers);
        sql.push(" where ");
        push_text_test(sql, &rest, |sql| {
            sql.push("xuid_text(m.xuid) collate \"C\"");
        });
    }
    sql.push(" limit 1), false)");
}

/// The user whose xuid is written so; another spelling of the number is another text.
pub(super) fn xuid(literal: &Literal) -> Option<u64> {
    let Literal::Text(text) = literal else { return None };
    Xuid::parse(text).ok().filter(|xuid| xuid.to_string() == *text).map(|xuid| xuid.0)
}
