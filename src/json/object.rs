//! The fields of a JSON object.
//!
//! Nearly all objects have a few fields: comparing a name with each of them takes less time than hashing it, and a copy is one
//! vector. A body that strangers send may have tens of thousands, and looking through all of them for each would let a small body
//! keep a processor busy; so objects of more than [`FEW`] fields have an index, whose hash has a key that nobody outside knows.

#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::ops::{Index, IndexMut};
use std::{fmt, mem, slice, vec};

use indexmap::{IndexMap, map};

use super::{Json, Text};

/// The most fields that are searched without an index.
const FEW: usize = 16;

/// The fields of a JSON object in their order; of duplicate names the last value wins, in the place of the first (W-03).
///
/// Methods mean what those of [`IndexMap`] with the same name mean. Two objects are equal when they have equal fields, in any order.
#[derive(Clone, Default)]
pub struct Object(Form);

#[derive(Clone)]
enum Form {
    Few(Vec<(Text, Json)>),
    /// Has an index, and keeps it when fields go.
    Many(Box<IndexMap<Text, Json>>),
}

impl Default for Form {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

fn find(fields: &[(Text, Json)], name: &str) -> Option<usize> {
    fields.iter().position(|(one, _)| *one.0 == *name)
}

impl Object {
    /// An object without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An object without fields that has room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self(if count <= FEW {
            Form::Few(Vec::with_capacity(count))
        } else {
            Form::Many(Box::new(IndexMap::with_capacity(count)))
        })
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Few(fields) => fields.len(),
            Form::Many(fields) => fields.len(),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &(impl Borrow<str> + ?Sized)) -> Option<&Json> {
        match &self.0 {
            Form::Few(fields) => find(fields, name.borrow()).map(|at| &fields[at].1),
            Form::Many(fields) => fields.get(name.borrow()),
        }
    }

    /// The value of a field, to be changed.
    pub fn get_mut(&mut self, name: &(impl Borrow<str> + ?Sized)) -> Option<&mut Json> {
        match &mut self.0 {
            Form::Few(fields) => find(fields, name.borrow()).map(|at| &mut fields[at].1),
            Form::Many(fields) => fields.get_mut(name.borrow()),
        }
    }

    /// Where in the order a field stands.
    #[must_use]
    pub fn get_index_of(&self, name: &(impl Borrow<str> + ?Sized)) -> Option<usize> {
        match &self.0 {
            Form::Few(fields) => find(fields, name.borrow()),
            Form::Many(fields) => fields.get_index_of(name.borrow()),
        }
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn contains_key(&self, name: &(impl Borrow<str> + ?Sized)) -> bool {
        self.get_index_of(name).is_some()
    }

    /// Sets a field and returns its old value; one that is known keeps its place, a new one comes last.
    pub fn insert(&mut self, name: Text, value: Json) -> Option<Json> {
        match &mut self.0 {
            Form::Few(fields) => {
                if let Some(at) = find(fields, name.borrow()) {
                    return Some(mem::replace(&mut fields[at].1, value));
                }
                if fields.len() < FEW {
                    fields.push((name, value));
                    return None;
                }
                self.indexed().insert(name, value)
            }
            Form::Many(fields) => fields.insert(name, value),
        }
    }

    /// Sets a field in this place of the order, from 0 to the number of the other fields, and returns its old value.
    pub fn shift_insert(&mut self, place: usize, name: Text, value: Json) -> Option<Json> {
        match &mut self.0 {
            Form::Few(fields) => {
                let before = find(fields, name.borrow()).map(|at| fields.remove(at));
                if fields.len() < FEW {
                    fields.insert(place, (name, value));
                    return before.map(|(_, value)| value);
                }
                self.indexed().shift_insert(place, name, value)
            }
            Form::Many(fields) => fields.shift_insert(place, name, value),
        }
    }

    /// The value of a field, which is made when it is not there.
    pub fn get_or_insert_with(&mut self, name: Text, value: impl FnOnce() -> Json) -> &mut Json {
        let at = self.get_index_of(&name).unwrap_or_else(|| {
            self.insert(name, value());
            self.len() - 1
        });
        match &mut self.0 {
            Form::Few(fields) => &mut fields[at].1,
            Form::Many(fields) => &mut fields[at],
        }
    }

    /// Removes a field; those after it move up.
    pub fn shift_remove(&mut self, name: &(impl Borrow<str> + ?Sized)) -> Option<Json> {
        self.shift_remove_full(name).map(|(_, _, value)| value)
    }

    /// Removes a field, and says where it stood; those after it move up.
    pub fn shift_remove_full(&mut self, name: &(impl Borrow<str> + ?Sized)) -> Option<(usize, Text, Json)> {
        match &mut self.0 {
            Form::Few(fields) => {
                let at = find(fields, name.borrow())?;
                let (name, value) = fields.remove(at);
                Some((at, name, value))
            }
            Form::Many(fields) => fields.shift_remove_full(name.borrow()),
        }
    }

    /// Keeps those fields for which this says so, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&Text, &mut Json) -> bool) {
        match &mut self.0 {
            Form::Few(fields) => fields.retain_mut(|(name, value)| keep(name, value)),
            Form::Many(fields) => fields.retain(keep),
        }
    }

    /// The fields in their order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        match &self.0 {
            Form::Few(fields) => Fields::Few(fields.iter()),
            Form::Many(fields) => Fields::Many(fields.iter()),
        }
    }

    /// The fields in their order, their values to be changed.
    pub fn iter_mut(&mut self) -> IterMut<'_> {
        match &mut self.0 {
            Form::Few(fields) => Fields::Few(fields.iter_mut()),
            Form::Many(fields) => Fields::Many(fields.iter_mut()),
        }
    }

    /// The names of the fields in their order.
    #[must_use]
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Text> {
        self.iter().map(|(name, _)| name)
    }

    /// The values of the fields in their order.
    #[must_use]
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Json> {
        self.iter().map(|(_, value)| value)
    }

    /// The values of the fields in their order, to be changed.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Json> {
        self.iter_mut().map(|(_, value)| value)
    }

    /// The values of the fields in their order, to be kept.
    #[must_use]
    pub fn into_values(self) -> impl ExactSizeIterator<Item = Json> {
        self.into_iter().map(|(_, value)| value)
    }

    /// Gives back the room that no field takes.
    pub fn shrink_to_fit(&mut self) {
        match &mut self.0 {
            Form::Few(fields) => fields.shrink_to_fit(),
            Form::Many(fields) => fields.shrink_to_fit(),
        }
    }

    /// The fields with an index, which they get if they have none.
    fn indexed(&mut self) -> &mut IndexMap<Text, Json> {
        if let Form::Few(fields) = &mut self.0 {
            let mut many = IndexMap::with_capacity(2 * FEW);
            many.extend(fields.drain(..));
            self.0 = Form::Many(Box::new(many));
        }
        let Form::Many(fields) = &mut self.0 else { unreachable!("few fields have just become many") };
        fields
    }
}

/// The value of a field that is there; panics where there is none.
impl<Q: Borrow<str> + ?Sized> Index<&Q> for Object {
    type Output = Json;

    fn index(&self, name: &Q) -> &Json {
        self.get(name).expect("the object has the field")
    }
}

impl<Q: Borrow<str> + ?Sized> IndexMut<&Q> for Object {
    fn index_mut(&mut self, name: &Q) -> &mut Json {
        self.get_mut(name).expect("the object has the field")
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        // Mostly they are in the same order, and nothing needs to be looked for.
        let mut opposite = other.iter();
        self.iter().all(|(name, value)| match opposite.next() {
            Some((same, theirs)) if same == name => theirs == value,
            _ => other.get(name) == Some(value),
        })
    }
}

impl Eq for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl Extend<(Text, Json)> for Object {
    fn extend<I: IntoIterator<Item = (Text, Json)>>(&mut self, fields: I) {
        for (name, value) in fields {
            self.insert(name, value);
        }
    }
}

impl FromIterator<(Text, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (Text, Json)>>(fields: I) -> Self {
        let fields = fields.into_iter();
        let mut object = Self::with_capacity(fields.size_hint().0);
        object.extend(fields);
        object
    }
}

impl<'a> IntoIterator for &'a Object {
    type Item = (&'a Text, &'a Json);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Object {
    type Item = (&'a Text, &'a mut Json);
    type IntoIter = IterMut<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl IntoIterator for Object {
    type Item = (Text, Json);
    type IntoIter = IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        match self.0 {
            Form::Few(fields) => Fields::Few(fields.into_iter()),
            Form::Many(fields) => Fields::Many(fields.into_iter()),
        }
    }
}

/// Goes through the fields of an object.
pub type Iter<'a> = Fields<slice::Iter<'a, (Text, Json)>, map::Iter<'a, Text, Json>>;
/// Goes through the fields of an object and lets their values be changed.
pub type IterMut<'a> = Fields<slice::IterMut<'a, (Text, Json)>, map::IterMut<'a, Text, Json>>;
/// Takes an object apart.
pub type IntoIter = Fields<vec::IntoIter<(Text, Json)>, map::IntoIter<Text, Json>>;

/// Goes through fields, of which there are few or many.
#[derive(Clone)]
pub enum Fields<F, M> {
    Few(F),
    Many(M),
}

impl<F, M> Iterator for Fields<F, M>
where
    F: Iterator<Item: Pair<Parts = M::Item>>,
    M: Iterator,
{
    type Item = M::Item;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(fields) => fields.next().map(Pair::parts),
            Self::Many(fields) => fields.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Few(fields) => fields.size_hint(),
            Self::Many(fields) => fields.size_hint(),
        }
    }
}

impl<F, M> ExactSizeIterator for Fields<F, M>
where
    F: ExactSizeIterator<Item: Pair<Parts = M::Item>>,
    M: ExactSizeIterator,
{
}

/// A field as it is kept where there are few, which becomes name and value.
pub trait Pair {
    type Parts;

    fn parts(self) -> Self::Parts;
}

impl<'a> Pair for &'a (Text, Json) {
    type Parts = (&'a Text, &'a Json);

    fn parts(self) -> Self::Parts {
        (&self.0, &self.1)
    }
}

impl<'a> Pair for &'a mut (Text, Json) {
    type Parts = (&'a Text, &'a mut Json);

    fn parts(self) -> Self::Parts {
        (&self.0, &mut self.1)
    }
}

impl Pair for (Text, Json) {
    type Parts = Self;

    fn parts(self) -> Self::Parts {
        self
    }
}
