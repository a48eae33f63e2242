//! The elements of a list or set, and the entries of a map.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::{
    Result,
    cursor::Cursor,
    key::Key,
    value::{Frame, Value, Wrapped},
};
use crate::record::wire::error::DecodeError;

/// The elements of a list (each [`Wrapped`]) or set, inside of its brackets.
pub(super) struct Elements<'c, 'de, F> {
    cursor: &'c mut Cursor<'de>,
    frame: F,
    first: bool,
}

impl<'c, 'de, F> Elements<'c, 'de, F> {
    pub(super) fn new(cursor: &'c mut Cursor<'de>, frame: F) -> Self {
        Self { cursor, frame, first: true }
    }
}

impl<'de, F: Frame> SeqAccess<'de> for Elements<'_, 'de, F> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.cursor.more(self.first, b']')? {
            return Ok(None);
        }
        self.first = false;
        let start = self.cursor.offset();
        match seed.deserialize(Value::new(self.cursor, self.frame)) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.or_at(self.cursor.payload_of(start))),
        }
    }
}

/// The entries of a map, inside of its braces.
pub(super) struct Entries<'c, 'de> {
    cursor: &'c mut Cursor<'de>,
    first: bool,
}

impl<'c, 'de> Entries<'c, 'de> {
    pub(super) fn new(cursor: &'c mut Cursor<'de>) -> Self {
        Self { cursor, first: true }
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let first = std::mem::replace(&mut self.first, false);
        if let Some(name) = self.cursor.plain_key(first) {
            return seed.deserialize(Key(name)).map(Some);
        }
        if self.cursor.is_at(b'}') {
            return Ok(None);
        }
        match self.cursor.next_key(first)? {
            Some(name) => seed.deserialize(Key(name)).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let start = self.cursor.offset();
        match seed.deserialize(Value::new(self.cursor, Wrapped)) {
            Ok(value) => Ok(value),
            Err(error) => Err(error.or_at(self.cursor.payload_of(start))),
        }
    }
}
