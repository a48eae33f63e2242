//! One attribute value, as serde sees it.

use std::borrow::Cow;

use serde::de::{self, Deserializer, IntoDeserializer, Visitor, value::SeqDeserializer};

use super::{
    Result,
    access::{Elements, Entries},
    cursor::Cursor,
    item,
    tag::Tag,
    variant::TaggedVariant,
};
use crate::record::wire::{
    error::{DecodeError, DecodeReason},
    exact, number,
    text::unescape,
};

/// How an attribute value stands in its text.
pub(super) trait Frame: Copy {
    /// To behind the type tag.
    fn open(self, cursor: &mut Cursor<'_>) -> Result<Tag>;
    /// Behind the value.
    fn close(self, cursor: &mut Cursor<'_>) -> Result<()>;
    /// The text behind a tag of one letter, with the value closed, if it is written compactly and without escapes; else nowhere.
    fn plain_text<'de>(self, cursor: &mut Cursor<'de>, tag: u8) -> Option<&'de str>;
    /// Behind the value if it is `NULL`; else nowhere.
    fn take_null(self, cursor: &mut Cursor<'_>) -> Result<bool>;
}

/// An object with its type tag as the only key: `{"S":".."}`.
#[derive(Clone, Copy)]
pub(super) struct Wrapped;

impl Frame for Wrapped {
    #[inline]
    fn open(self, cursor: &mut Cursor<'_>) -> Result<Tag> {
        cursor.open()
    }

    #[inline]
    fn close(self, cursor: &mut Cursor<'_>) -> Result<()> {
        cursor.close()
    }

    #[inline(always)]
    fn plain_text<'de>(self, cursor: &mut Cursor<'de>, tag: u8) -> Option<&'de str> {
        cursor.plain_attribute(tag)
    }

    #[inline]
    fn take_null(self, cursor: &mut Cursor<'_>) -> Result<bool> {
        cursor.take_null()
    }
}

/// A bare value whose type is known: a whole item (`M`), or an element of a set.
#[derive(Clone, Copy)]
pub(super) struct Known(pub(super) Tag);

impl Frame for Known {
    #[inline]
    fn open(self, _: &mut Cursor<'_>) -> Result<Tag> {
        Ok(self.0)
    }

    #[inline]
    fn close(self, _: &mut Cursor<'_>) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn plain_text<'de>(self, cursor: &mut Cursor<'de>, tag: u8) -> Option<&'de str> {
        if self.0.letter() == Some(tag) { cursor.plain_text() } else { None }
    }

    #[inline]
    fn take_null(self, _: &mut Cursor<'_>) -> Result<bool> {
        Ok(false)
    }
}

/// An attribute value at the cursor.
pub(super) struct Value<'c, 'de, F> {
    cursor: &'c mut Cursor<'de>,
    frame: F,
}

impl<'c, 'de, F: Frame> Value<'c, 'de, F> {
    #[inline]
    pub(super) fn new(cursor: &'c mut Cursor<'de>, frame: F) -> Self {
        Self { cursor, frame }
    }

    /// The text of a number, or of anything else of which `accepts` is true, if it is not written compactly.
    #[inline(never)]
    fn any_text(self, accepts: fn(Tag) -> bool, expected: &str) -> Result<Cow<'de, str>> {
        match self.frame.open(self.cursor)? {
            tag if accepts(tag) => self.token(),
            tag => Err(self.wrong(tag, expected)),
        }
    }

    /// Reads a number from its text.
    #[inline(always)]
    fn number<T>(self, read: impl Fn(&str) -> Result<T>) -> Result<T> {
        match self.frame.plain_text(self.cursor, b'N') {
            Some(text) => read(text),
            None => read(&self.any_text(|tag| tag == Tag::N, "a number (N)")?),
        }
    }

    /// A string token behind the tag, with the frame closed.
    fn token(self) -> Result<Cow<'de, str>> {
        let text = self.cursor.string()?;
        self.frame.close(self.cursor)?;
        Ok(text)
    }

    #[inline]
    fn boolean(self) -> Result<bool> {
        let value = self.cursor.boolean()?;
        self.frame.close(self.cursor)?;
        Ok(value)
    }

    fn binary(self) -> Result<Vec<u8>> {
        let bytes = binary(self.cursor)?;
        self.frame.close(self.cursor)?;
        Ok(bytes)
    }

    #[inline]
    fn map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.cursor.enter(b'{', "an object of attributes")?;
        let value = visitor.visit_map(Entries::new(self.cursor))?;
        self.cursor.leave(b'}')?;
        self.frame.close(self.cursor)?;
        Ok(value)
    }

    #[inline]
    fn sequence<V: Visitor<'de>>(self, frame: impl Frame, visitor: V) -> Result<V::Value> {
        self.cursor.enter(b'[', "a list")?;
        let value = visitor.visit_seq(Elements::new(self.cursor, frame))?;
        self.cursor.leave(b']')?;
        self.frame.close(self.cursor)?;
        Ok(value)
    }

    /// Every type that reads as a sequence.
    fn any_sequence<V: Visitor<'de>>(self, tag: Tag, visitor: V) -> Result<V::Value> {
        match tag {
            Tag::L => self.sequence(Wrapped, visitor),
            Tag::Ss => self.sequence(Known(Tag::S), visitor),
            Tag::Ns => self.sequence(Known(Tag::N), visitor),
            Tag::Bs => self.sequence(Known(Tag::B), visitor),
            Tag::B => visitor.visit_seq(SeqDeserializer::new(self.binary()?.into_iter())),
            tag => Err(self.wrong(tag, "a list (L), a set (SS, NS, BS) or binary (B)")),
        }
    }

    #[cold]
    fn wrong(&self, tag: Tag, expected: &str) -> DecodeError {
        self.cursor.fail(DecodeReason::WrongType { expected: expected.to_owned(), found: tag.name() })
    }
}

/// Reads a string token of base64.
pub(super) fn binary(cursor: &mut Cursor<'_>) -> Result<Vec<u8>> {
    let (at, raw) = cursor.raw_string()?;
    let decode = |text: &str| base64_simd::STANDARD.decode_to_vec(text).ok();
    // A slash may be escaped; nobody looks for escapes in what decodes without.
    decode(raw).or_else(|| decode(&unescape(raw)?)).ok_or_else(|| DecodeError::at(DecodeReason::BadBase64, at))
}

#[inline]
fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

/// A number for a visitor that takes anything: an integer if it is one of at most 64 bits, else a float.
fn visit_number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value> {
    if let Ok(value) = number::integer::<u64>(text) {
        visitor.visit_u64(value)
    } else if let Ok(value) = number::integer::<i64>(text) {
        visitor.visit_i64(value)
    } else {
        visitor.visit_f64(number::float(text)?)
    }
}

macro_rules! integers {
    ($($deserialize:ident $visit:ident,)*) => {$(
        #[inline]
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.$visit(self.number(number::integer)?)
        }
    )*};
}

impl<'de, F: Frame> Deserializer<'de> for Value<'_, 'de, F> {
    type Error = DecodeError;

    integers! {
        deserialize_i8 visit_i8,
        deserialize_i16 visit_i16,
        deserialize_i32 visit_i32,
        deserialize_i64 visit_i64,
        deserialize_i128 visit_i128,
        deserialize_u8 visit_u8,
        deserialize_u16 visit_u16,
        deserialize_u32 visit_u32,
        deserialize_u64 visit_u64,
        deserialize_u128 visit_u128,
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.frame.open(self.cursor)? {
            Tag::S => visit_text(self.token()?, visitor),
            Tag::N => visit_number(&self.token()?, visitor),
            Tag::B => visitor.visit_byte_buf(self.binary()?),
            Tag::Bool => visitor.visit_bool(self.boolean()?),
            Tag::Null => {
                self.boolean()?;
                visitor.visit_unit()
            }
            Tag::M => self.map(visitor),
            tag => self.any_sequence(tag, visitor),
        }
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(value) = self.cursor.plain_boolean() {
            return visitor.visit_bool(value);
        }
        match self.frame.open(self.cursor)? {
            Tag::Bool => visitor.visit_bool(self.boolean()?),
            tag => Err(self.wrong(tag, "a boolean (BOOL)")),
        }
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f32(self.number(number::float32)?)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(self.number(number::float)?)
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(text) = self.frame.plain_text(self.cursor, b'S') {
            return visitor.visit_borrowed_str(text);
        }
        let accepts = |tag| matches!(tag, Tag::S | Tag::N);
        visit_text(self.any_text(accepts, "a string (S) or the text of a number (N)")?, visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_byte_buf(visitor)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.frame.open(self.cursor)? {
            Tag::B => visitor.visit_byte_buf(self.binary()?),
            tag => Err(self.wrong(tag, "binary (B)")),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.frame.take_null(self.cursor)? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.frame.open(self.cursor)? {
            Tag::Null => {
                self.boolean()?;
                visitor.visit_unit()
            }
            tag => Err(self.wrong(tag, "NULL")),
        }
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match name {
            exact::NUMBER => {
                let text = self.any_text(|tag| tag == Tag::N, "a number (N)")?;
                visitor.visit_str(number::checked(&text)?)
            }
            exact::ITEM => match self.frame.open(self.cursor)? {
                Tag::M => {
                    let (start, json) = (self.cursor.offset(), self.cursor.skip()?);
                    self.frame.close(self.cursor)?;
                    visitor.visit_borrowed_str(json).map_err(|error| item::error(json, start).unwrap_or(error))
                }
                tag => Err(self.wrong(tag, "a map (M)")),
            },
            _ => visitor.visit_newtype_struct(self),
        }
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let tag = self.frame.open(self.cursor)?;
        self.any_sequence(tag, visitor)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.frame.open(self.cursor)? {
            Tag::M => self.map(visitor),
            tag => Err(self.wrong(tag, "a map (M)")),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.frame.open(self.cursor)? {
            Tag::M => self.map(visitor),
            Tag::L => self.sequence(Wrapped, visitor),
            tag => Err(self.wrong(tag, "a map (M)")),
        }
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.frame.open(self.cursor)? {
            Tag::S => match self.token()? {
                Cow::Borrowed(text) => visitor.visit_enum(de::value::BorrowedStrDeserializer::new(text)),
                Cow::Owned(text) => visitor.visit_enum(text.into_deserializer()),
            },
            Tag::M => {
                self.cursor.enter(b'{', "an object with a variant")?;
                let value = visitor.visit_enum(TaggedVariant(self.cursor))?;
                self.cursor.leave(b'}')?;
                self.frame.close(self.cursor)?;
                Ok(value)
            }
            tag => Err(self.wrong(tag, "an enum: a string (S) or a map with one key (M)")),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.cursor.skip()?;
        visitor.visit_unit()
    }
}
