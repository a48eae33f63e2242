//! The oracle: DynamoDB JSON through `serde_json`, slow and plain, to compare the reader with.

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, VariantAccess, Visitor,
        value::{Error, MapDeserializer, SeqDeserializer, StringDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

/// Decodes an item by way of `serde_json::Value`.
pub(super) fn from_json<T: for<'a> Deserialize<'a>>(json: &[u8]) -> Result<T, Error> {
    let item = serde_json::from_slice(json).map_err(Error::custom)?;
    T::deserialize(Attribute("M".to_owned(), item))
}

/// An attribute value: its type tag, and what stands behind it.
pub(super) struct Attribute(String, Value);

impl Attribute {
    fn unwrap(value: Value) -> Result<Self, Error> {
        match value {
            Value::Object(tags) if tags.len() == 1 => {
                let (tag, value) = tags.into_iter().next().ok_or_else(|| Error::custom("no tag"))?;
                Ok(Self(tag, value))
            }
            _ => Err(Error::custom("not an attribute value")),
        }
    }

    fn text(self, tags: &[&str]) -> Result<String, Error> {
        match self.1 {
            Value::String(text) if tags.contains(&&*self.0) => Ok(text),
            _ => Err(Error::custom("another type")),
        }
    }

    fn number<T: std::str::FromStr>(self) -> Result<T, Error> {
        let text = self.text(&["N"])?;
        plain(&text).parse().or_else(|_| text.parse()).map_err(|_| Error::custom("not such a number"))
    }

    fn bytes(self) -> Result<Vec<u8>, Error> {
        base64_simd::STANDARD.decode_to_vec(self.text(&["B"])?).map_err(Error::custom)
    }

    fn elements(self) -> Result<Vec<Self>, Error> {
        let (tag, Value::Array(elements)) = (self.0, self.1) else {
            return Err(Error::custom("not a list"));
        };
        elements
            .into_iter()
            .map(|element| match &*tag {
                "L" => Self::unwrap(element),
                "SS" | "NS" | "BS" => Ok(Self(tag[..1].to_owned(), element)),
                _ => Err(Error::custom("not a list")),
            })
            .collect()
    }

    fn entries(self) -> Result<Map<String, Value>, Error> {
        match (&*self.0, self.1) {
            ("M", Value::Object(entries)) => Ok(entries),
            _ => Err(Error::custom("not a map")),
        }
    }
}

/// The digits of an integer without exponent and fraction; of any other number the text itself.
fn plain(text: &str) -> String {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let (digits, exponent) = (format!("{whole}{fraction}"), exponent.parse::<i64>().unwrap_or(999));
    let Ok(point @ 0..200) = usize::try_from(whole.len() as i64 + exponent) else {
        return text.to_owned();
    };
    let padded = format!("{digits:0<point$}");
    let (integer, rest) = padded.split_at(point);
    match integer.trim_start_matches('0') {
        _ if rest.bytes().any(|digit| digit != b'0') => text.to_owned(),
        "" => "0".to_owned(),
        integer => format!("{sign}{integer}"),
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.number()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Attribute {
    type Error = Error;

    numbers! {
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_i128 visit_i128 deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128 deserialize_f32 visit_f32 deserialize_f64 visit_f64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &*self.0 {
            "S" => self.deserialize_str(visitor),
            "N" => {
                let text = self.text(&["N"])?;
                let integer = plain(&text);
                if let Ok(value) = integer.parse::<u64>() {
                    visitor.visit_u64(value)
                } else if let Ok(value) = integer.parse::<i64>() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(text.parse().map_err(Error::custom)?)
                }
            }
            "B" => self.deserialize_byte_buf(visitor),
            "BOOL" => self.deserialize_bool(visitor),
            "NULL" => self.deserialize_unit(visitor),
            "M" => self.deserialize_map(visitor),
            _ => self.deserialize_seq(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match (&*self.0, self.1) {
            ("BOOL", Value::Bool(value)) => visitor.visit_bool(value),
            _ => Err(Error::custom("not a boolean")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.text(&["S", "N"])?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_byte_buf(self.bytes()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0 == "NULL" && self.1 == true { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match (&*self.0, self.1) {
            ("NULL", Value::Bool(_)) => visitor.visit_unit(),
            _ => Err(Error::custom("not null")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0 == "B" {
            return visitor.visit_seq(SeqDeserializer::new(self.bytes()?.into_iter()));
        }
        let mut elements = SeqDeserializer::new(self.elements()?.into_iter());
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(
            self.entries()?.into_iter().map(|(name, value)| (Key(name), Wrapped(value))),
        ))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0 == "L" { self.deserialize_seq(visitor) } else { self.deserialize_map(visitor) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0 == "S" {
            return visitor.visit_enum(self.text(&["S"])?.into_deserializer());
        }
        let mut entries = self.entries()?.into_iter();
        match (entries.next(), entries.next()) {
            (Some((variant, value)), None) => visitor.visit_enum(Tagged(variant, value)),
            _ => Err(Error::custom("not one variant")),
        }
    }

    forward_to_deserialize_any! { identifier ignored_any }
}

impl<'de> IntoDeserializer<'de, Error> for Attribute {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// A value whose tag is not yet looked at.
struct Wrapped(Value);

impl<'de> IntoDeserializer<'de, Error> for Wrapped {
    type Deserializer = Attribute;

    fn into_deserializer(self) -> Attribute {
        // A value without a tag is of no type, so that every visitor refuses it.
        Attribute::unwrap(self.0).unwrap_or(Attribute(String::new(), Value::Null))
    }
}

/// The key of a map, which may be a number.
struct Key(String);

macro_rules! number_keys {
    ($($deserialize:ident $visit:ident)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.0.parse().map_err(Error::custom)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Key {
    type Error = Error;

    number_keys! { deserialize_u32 visit_u32 deserialize_i64 visit_i64 deserialize_bool visit_bool }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(StringDeserializer::<Error>::new(self.0))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Key {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Tagged(String, Value);

impl<'de> EnumAccess<'de> for Tagged {
    type Error = Error;
    type Variant = Wrapped;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Wrapped), Error> {
        Ok((seed.deserialize(Key(self.0))?, Wrapped(self.1)))
    }
}

impl<'de> VariantAccess<'de> for Wrapped {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Deserialize::deserialize(self.into_deserializer())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.into_deserializer())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.into_deserializer().deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.into_deserializer().deserialize_struct("", fields, visitor)
    }
}
