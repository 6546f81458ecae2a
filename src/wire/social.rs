//! The social graph on the wire: edges as JSON lines for operators, and what an endpoint says about one user (A-40, A-41).
//!
//! A line is `{"xuid":"1","follows":"2"}`, with `"favorite":true` where it is one, or `{"xuid":"1","blocks":"2"}`.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::names::Xuid;
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::system;
use crate::json::{self, Json, Object};

/// From one user to another.
pub type Pair = (Xuid, Xuid);

/// Edges, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edges {
    /// Who follows whom, and whether as a favourite.
    pub follows: BTreeMap<Pair, bool>,
    /// Who blocks whom.
    pub blocks: BTreeSet<Pair>,
}

/// Reads lines of edges piece by piece, as they arrive.
#[derive(Debug)]
pub struct EdgeReader {
    depth: usize,
    /// Complete lines so far.
    lines: usize,
    /// The beginning of a line whose end has not arrived.
    rest: Vec<u8>,
    edges: Edges,
}

impl EdgeReader {
    /// For lines of JSON that nests no deeper than `depth`.
    #[must_use]
    pub fn new(depth: usize) -> Self {
        Self { depth, lines: 0, rest: Vec::new(), edges: Edges::default() }
    }

    /// Takes what arrives next.
    ///
    /// # Errors
    /// 400 naming the line and field.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            if self.rest.is_empty() {
                self.line(piece)?;
            } else {
                let mut line = std::mem::take(&mut self.rest);
                line.extend_from_slice(piece);
                self.line(&line)?;
            }
        }
        self.rest.extend_from_slice(last);
        Ok(())
    }

    /// Takes the last line, which need not be ended, and gives all edges; of one that was given twice the later line counts.
    ///
    /// # Errors
    /// 400 naming the line and field.
    pub fn finish(mut self) -> Result<Edges, Refusal> {
        let rest = std::mem::take(&mut self.rest);
        self.line(&rest)?;
        Ok(self.edges)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.lines += 1;
        let line = if self.lines == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let number = self.lines;
        let on_line = |why: &str| Refusal::new(Kind::Invalid, format!("line {number}: {why}"));
        let fields = match json::parse(line, self.depth) {
            Ok(Json::Object(fields)) => fields,
            Ok(other) => return Err(on_line(&format!("a JSON object is expected, not {}", other.kind()))),
            Err(error) => return Err(on_line(&error.to_string())),
        };
        self.take(&fields).map_err(|refusal| on_line(&refusal.text))
    }

    fn take(&mut self, fields: &Object) -> Result<(), Refusal> {
        let (mut from, mut follows, mut blocks, mut favorite) = (None, None, None, None);
        for (name, value) in fields {
            match name.as_str() {
                "xuid" => from = Some(system::xuid(format_args!("xuid"), value)?),
                "follows" => follows = Some(system::xuid(format_args!("follows"), value)?),
                "blocks" => blocks = Some(system::xuid(format_args!("blocks"), value)?),
                "favorite" => favorite = Some(read_favorite(value)?),
                name => return Err(Refusal::invalid(name, "this field does not exist")),
            }
        }
        let from = from.ok_or_else(|| Refusal::invalid("xuid", "is missing"))?;
        match (follows, blocks) {
            (Some(to), None) => drop(self.edges.follows.insert((from, to), favorite.unwrap_or(false))),
            (None, Some(_)) if favorite.is_some() => {
                return Err(Refusal::invalid("favorite", "only whom one follows can be a favourite"));
            }
            (None, Some(to)) => drop(self.edges.blocks.insert((from, to))),
            (None, None) => return Err(Refusal::invalid("follows", "either follows or blocks is expected")),
            (Some(_), Some(_)) => return Err(Refusal::invalid("blocks", "either follows or blocks is expected, not both")),
        }
        Ok(())
    }
}

/// Reads whether somebody is a favourite.
///
/// # Errors
/// 400.
pub fn read_favorite(value: &Json) -> Result<bool, Refusal> {
    value.as_bool().ok_or_else(|| Refusal::invalid("favorite", "true or false is expected"))
}

/// Writes the line of a follow.
pub fn write_follow((from, to): Pair, favorite: bool, out: &mut String) {
    let mut fields = edge(from, "follows", to);
    if favorite {
        fields.insert("favorite".into(), true.into());
    }
    json::write_object(&fields, out);
    out.push('\n');
}

/// Writes the line of a block.
pub fn write_block((from, to): Pair, out: &mut String) {
    json::write_object(&edge(from, "blocks", to), out);
    out.push('\n');
}

fn edge(from: Xuid, verb: &str, to: Xuid) -> Object {
    let mut fields = Object::with_capacity(3);
    fields.insert("xuid".into(), from.to_string().into());
    fields.insert(verb.into(), to.to_string().into());
    fields
}

/// Whom one user has to do with, but for the user itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Whom the user follows, and whether as a favourite.
    pub follows: BTreeMap<Xuid, bool>,
    /// Who follows the user.
    pub followers: BTreeSet<Xuid>,
    /// Whom the user blocks.
    pub blocks: BTreeSet<Xuid>,
    /// Who blocks the user.
    pub blocked_by: BTreeSet<Xuid>,
}

/// How deep an endpoint's answer may nest.
const ANSWER_DEPTH: usize = 32;

/// Reads what an endpoint says about a user: `{"follows": [{"xuid": "2", "favorite": true}, "3"], "followers": ["4"], "blocks": ["5"],
/// "blockedBy": ["6"]}`. A list that is missing or null is empty; other fields are the endpoint's own affair.
///
/// # Errors
/// Naming the field.
pub fn read_neighbours(of: Xuid, bytes: &[u8]) -> Result<Neighbours, Refusal> {
    let answer = json::parse(bytes, ANSWER_DEPTH).map_err(|error| Refusal::invalid("body", error.to_string()))?;
    if answer.as_object().is_none() {
        return Err(Refusal::invalid("body", format!("a JSON object is expected, not {}", answer.kind())));
    }
    let mut follows = BTreeMap::new();
    for (at, item) in list(&answer, "follows")? {
        let (xuid, favorite) = match item.as_object() {
            None => (system::xuid(format_args!("{at}"), item)?, false),
            Some(fields) => {
                let xuid = fields.get("xuid").ok_or_else(|| Refusal::invalid(format!("{at}.xuid"), "is missing"))?;
                let favorite = fields.get("favorite").filter(|value| **value != Json::Null);
                (system::xuid(format_args!("{at}.xuid"), xuid)?, favorite.map_or(Ok(false), read_favorite)?)
            }
        };
        follows.insert(xuid, favorite);
    }
    follows.remove(&of);
    let xuids = |name: &str| -> Result<BTreeSet<Xuid>, Refusal> {
        let mut xuids = list(&answer, name)?
            .map(|(at, item)| system::xuid(format_args!("{at}"), item))
            .collect::<Result<BTreeSet<_>, _>>()?;
        xuids.remove(&of);
        Ok(xuids)
    };
    Ok(Neighbours { follows, followers: xuids("followers")?, blocks: xuids("blocks")?, blocked_by: xuids("blockedBy")? })
}

/// The items of a list, each with where it stands.
fn list<'a>(answer: &'a Json, name: &'a str) -> Result<impl Iterator<Item = (String, &'a Json)>, Refusal> {
    let items = match answer.get(name) {
        None | Some(Json::Null) => &[],
        Some(list) => {
            list.as_array().ok_or_else(|| Refusal::invalid(name, format!("an array is expected, not {}", list.kind())))?
        }
    };
    Ok(items.iter().enumerate().map(move |(n, item)| (format!("{name}[{n}]"), item)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> Result<Edges, Refusal> {
        let mut reader = EdgeReader::new(8);
        reader.feed(text.as_bytes())?;
        reader.finish()
    }

    fn written(edges: &Edges) -> String {
        let mut out = String::new();
        for (pair, favorite) in &edges.follows {
            write_follow(*pair, *favorite, &mut out);
        }
        for pair in &edges.blocks {
            write_block(*pair, &mut out);
        }
        out
    }

    #[rstest]
    #[case(r#"{"xuid":"1"}"#, "line 1: follows: ")]
    #[case("\n\n{\"xuid\":1,\"follows\":\"x\"}", "line 3: follows: ")]
    #[case(r#"{"follows":"1"}"#, "line 1: xuid: is missing")]
    #[case(r#"{"xuid":-1,"follows":"1"}"#, "line 1: xuid: ")]
    #[case(r#"{"xuid":"1","follows":"2","blocks":"2"}"#, "line 1: blocks: ")]
    #[case(r#"{"xuid":"1","blocks":"2","favorite":false}"#, "line 1: favorite: ")]
    #[case(r#"{"xuid":"1","follows":"2","favorite":1}"#, "line 1: favorite: ")]
    #[case(r#"{"xuid":"1","follows":"2","favourite":true}"#, "line 1: favourite: ")]
    #[case("{\"xuid\":\"1\",\"follows\":\"2\"}\r\n[1]\r\n", "line 2: a JSON object is expected")]
    #[case("{\"xuid\":\"1\",\"follows\":\"2\"} {}", "line 1: ")]
    #[case("{\"xuid\":\"1\",\n\"follows\":\"2\"}", "line 1: ")]
    fn a40_bad_lines_are_refused_by_number_and_field(#[case] text: &str, #[case] says: &str) {
        let refusal = read(text).unwrap_err();
        assert!(refusal.text.starts_with(says), "{refusal}");
    }

    #[test]
    fn a40_a41_later_lines_win_and_blank_ones_say_nothing() {
        let text = "\u{feff}{\"xuid\":1,\"follows\":\"2\",\"favorite\":true}\r\n\n  \t\n{\"xuid\":\"1\",\"blocks\":2}\n\
            {\"xuid\":\"1\",\"follows\":2}\n{\"xuid\":18446744073709551615,\"follows\":0,\"favorite\":true}";
        let edges = read(text).unwrap();
        let follows = [((Xuid(1), Xuid(2)), false), ((Xuid(u64::MAX), Xuid(0)), true)];
        assert_eq!(edges, Edges { follows: follows.into(), blocks: [(Xuid(1), Xuid(2))].into() });
    }

    #[test]
    fn a40_a41_an_endpoint_speaks_about_one_user() {
        let answer = r#"{"follows":[{"xuid":"2","favorite":true},"3",{"xuid":4,"favorite":null,"since":"x"},2,1],
            "followers":["5",5,"1"],"blocks":null,"blockedBy":[6],"more":{}}"#;
        let read = read_neighbours(Xuid(1), answer.as_bytes()).unwrap();
        assert_eq!(read.follows, [(Xuid(2), false), (Xuid(3), false), (Xuid(4), false)].into(), "the last word counts");
        assert_eq!((read.followers, read.blocks, read.blocked_by), ([Xuid(5)].into(), [].into(), [Xuid(6)].into()));
        assert_eq!(read_neighbours(Xuid(1), b"{}").unwrap(), Neighbours::default());
    }

    #[rstest]
    #[case("", "body: ")]
    #[case("[]", "body: ")]
    #[case("{} {}", "body: ")]
    #[case(r#"{"follows":{}}"#, "follows: ")]
    #[case(r#"{"follows":["2",{"favorite":true}]}"#, "follows[1].xuid: ")]
    #[case(r#"{"follows":[{"xuid":"2","favorite":"yes"}]}"#, "favorite: ")]
    #[case(r#"{"followers":[{"xuid":"2"}]}"#, "followers[0]: ")]
    #[case(r#"{"blockedBy":["x"]}"#, "blockedBy[0]: ")]
    fn a40_malformed_answers_are_refused_by_field(#[case] answer: &str, #[case] says: &str) {
        let refusal = read_neighbours(Xuid(1), answer.as_bytes()).unwrap_err();
        assert!(refusal.text.starts_with(says), "{refusal}");
    }

    proptest! {
        /// Wherever the pieces end.
        #[test]
        fn a40_what_is_written_is_read_in_any_pieces(
            follows in prop::collection::btree_map((any::<u64>(), any::<u64>()), any::<bool>(), 0..8),
            blocks in prop::collection::btree_set((any::<u64>(), any::<u64>()), 0..8),
            size in 1_usize..60,
        ) {
            let edges = Edges {
                follows: follows.into_iter().map(|((a, b), favorite)| ((Xuid(a), Xuid(b)), favorite)).collect(),
                blocks: blocks.into_iter().map(|(a, b)| (Xuid(a), Xuid(b))).collect(),
            };
            let mut reader = EdgeReader::new(8);
            for piece in written(&edges).as_bytes().chunks(size) {
                reader.feed(piece).unwrap();
            }
            prop_assert_eq!(reader.finish().unwrap(), edges);
        }
    }
}
