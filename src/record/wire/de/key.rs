//! The name of an attribute, as serde sees it: field names, and keys of maps, which may be numbers.

use std::borrow::Cow;

use serde::{
    de::{Deserializer, IntoDeserializer, Visitor},
    forward_to_deserialize_any,
};

use super::Result;
use crate::record::wire::{error::DecodeError, number};

/// The name of an attribute: borrowed where it stands without escapes, which is nearly always, and otherwise whichever it is.
pub(super) struct Key<N>(pub(super) N);

/// What a name is kept in.
pub(super) trait Name<'de>: AsRef<str> {
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value>;
}

impl<'de> Name<'de> for &'de str {
    #[inline(always)]
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self)
    }
}

impl<'de> Name<'de> for Cow<'de, str> {
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Cow::Borrowed(name) => visitor.visit_borrowed_str(name),
            Cow::Owned(name) => visitor.visit_string(name),
        }
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $parse:path,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.$visit($parse(self.0.as_ref())?)
        }
    )*};
}

impl<'de, N: Name<'de>> Deserializer<'de> for Key<N> {
    type Error = DecodeError;

    numbers! {
        deserialize_i8 visit_i8 number::integer,
        deserialize_i16 visit_i16 number::integer,
        deserialize_i32 visit_i32 number::integer,
        deserialize_i64 visit_i64 number::integer,
        deserialize_i128 visit_i128 number::integer,
        deserialize_u8 visit_u8 number::integer,
        deserialize_u16 visit_u16 number::integer,
        deserialize_u32 visit_u32 number::integer,
        deserialize_u64 visit_u64 number::integer,
        deserialize_u128 visit_u128 number::integer,
        deserialize_f32 visit_f32 number::float32,
        deserialize_f64 visit_f64 number::float,
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.0.visit(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.0.visit(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.as_ref() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(self.0.as_ref().into_deserializer())
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct ignored_any
    }
}
