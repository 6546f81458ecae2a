//! JSON that is written without making values of it first.

use std::borrow::Borrow as _;
use std::fmt::{Display, Write as _};

use chrono::{DateTime, Utc};

use crate::domain::instant::write_instant;
use crate::domain::names::MemberIndex;
use crate::domain::session::Bag;
use crate::json::Json;

/// An object that is being written, field by field.
pub struct Fields<'a> {
    out: &'a mut String,
    begun: bool,
}

impl<'a> Fields<'a> {
    /// Begins an object.
    pub fn open(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, begun: false }
    }

    /// Goes on with an object that has been begun, with or without fields.
    pub fn within(out: &'a mut String, begun: bool) -> Self {
        Self { out, begun }
    }

    fn next(&mut self) -> &mut String {
        if std::mem::replace(&mut self.begun, true) {
            self.out.push(',');
        }
        self.out
    }

    /// Writes a name that needs no escape; its value is written to what this returns.
    pub fn key(&mut self, name: &str) -> &mut String {
        let out = self.next();
        out.push('"');
        out.push_str(name);
        out.push_str("\":");
        out
    }

    /// Writes a number as a name.
    pub fn numbered(&mut self, number: MemberIndex) -> &mut String {
        let out = self.next();
        let _ = write!(out, "\"{number}\":");
        out
    }

    /// Any value.
    pub fn value(&mut self, name: &str, value: &Json) {
        value.write(self.key(name));
    }

    /// A text that needs no escape.
    pub fn plain(&mut self, name: &str, text: &str) {
        let out = self.key(name);
        out.push('"');
        out.push_str(text);
        out.push('"');
    }

    /// An instant.
    pub fn instant(&mut self, name: &str, at: DateTime<Utc>) {
        let out = self.key(name);
        out.push('"');
        write_instant(at, out);
        out.push('"');
    }

    /// A number.
    pub fn number(&mut self, name: &str, number: impl Display) {
        let _ = write!(self.key(name), "{number}");
    }

    /// A flag that is set.
    pub fn flag(&mut self, name: &str) {
        self.key(name).push_str("true");
    }

    /// Fields that are rendered already, at least one.
    pub fn rendered(&mut self, fields: &str) {
        self.next().push_str(fields);
    }

    /// A bag, its system fields behind those that stand apart.
    pub fn bag(&mut self, name: &str, bag: &Bag, apart: impl FnOnce(&mut Fields)) {
        let mut fields = Fields::open(self.key(name));
        let mut system = Fields::open(fields.key("system"));
        apart(&mut system);
        for (name, value) in &bag.system {
            system.value(name.borrow(), value);
        }
        system.close();
        fields.value("custom", &bag.custom);
        fields.close();
    }

    /// Whether nothing has been written to it yet.
    pub fn is_empty(&self) -> bool {
        !self.begun
    }

    /// Ends the object.
    pub fn close(self) {
        self.out.push('}');
    }
}
