//! A map with one key, as an externally tagged enum.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};

use super::{
    Result,
    cursor::Cursor,
    key::Key,
    value::{Value, Wrapped},
};
use crate::record::wire::error::DecodeError;

/// Inside of the braces of the map.
pub(super) struct TaggedVariant<'c, 'de>(pub(super) &'c mut Cursor<'de>);

impl<'c, 'de> EnumAccess<'de> for TaggedVariant<'c, 'de> {
    type Error = DecodeError;
    type Variant = Content<'c, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant)> {
        let Some(name) = self.0.next_key(true)? else {
            return Err(self.0.syntax("the name of a variant"));
        };
        Ok((seed.deserialize(Key(name))?, Content(self.0)))
    }
}

/// The value of the one key.
pub(super) struct Content<'c, 'de>(&'c mut Cursor<'de>);

impl<'de> Content<'_, 'de> {
    fn read<T>(self, read: impl FnOnce(Value<'_, 'de, Wrapped>) -> Result<T>) -> Result<T> {
        let start = self.0.offset();
        match read(Value::new(self.0, Wrapped)) {
            Ok(value) => Ok(value),
            Err(error) => Err(error.or_at(self.0.payload_of(start))),
        }
    }
}

impl<'de> VariantAccess<'de> for Content<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<()> {
        self.read(|value| Deserialize::deserialize(value))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.read(|value| seed.deserialize(value))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.read(|value| value.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.read(|value| value.deserialize_struct("", fields, visitor))
    }
}
