//! Images of an item, and its keys: found, and not yet decoded.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    de,
    error::{DecodeError, DecodeReason},
    find, path,
    span::Span,
};

/// Which part of a record, or of a page of items, an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The key attributes.
    Keys,
    /// The item after the change.
    NewImage,
    /// The item before the change.
    OldImage,
    /// An item of a page of a scan or a query.
    Item,
    /// Where the page after this one begins.
    LastKey,
}

impl Part {
    /// The name on the wire: `Keys`, `NewImage`, `OldImage`, `Items` or `LastEvaluatedKey`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keys => "Keys",
            Self::NewImage => "NewImage",
            Self::OldImage => "OldImage",
            Self::Item => "Items",
            Self::LastKey => "LastEvaluatedKey",
        }
    }

    pub(super) fn path(self, position: u32) -> String {
        match self {
            Self::Item => format!("Items[{position}]"),
            Self::LastKey => self.name().to_owned(),
            _ => format!("Records[{position}].dynamodb.{}", self.name()),
        }
    }
}

/// An image in the payload, not yet decoded.
///
/// ```
/// use anabranch::record::wire::split;
/// # use bytes::Bytes;
/// # let payload = Bytes::from_static(br#"{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"111",
/// #   "NewImage":{"PK":{"S":"USER#1"},"weightKg":{"N":"4.25"}}}}]}"#);
///
/// #[derive(serde::Deserialize)]
/// struct Pet<'a> {
///     #[serde(rename = "PK")]
///     owner: &'a str,
///     #[serde(rename = "weightKg")]
///     weight: f64,
/// }
///
/// let record = split(payload)?.next().expect("one record")?;
/// let image = record.new_image().expect("an insert has a new image");
/// let pet: Pet = image.decode()?;
/// assert_eq!((pet.owner, pet.weight), ("USER#1", 4.25));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Image<'a> {
    body: &'a Bytes,
    span: Span,
    position: u32,
    /// The offset of the value of the attribute that was watched for, or 0.
    watched: u32,
    part: Part,
}

impl<'a> Image<'a> {
    pub(super) fn new(body: &'a Bytes, span: Span, position: u32, part: Part) -> Self {
        Self { body, span, position, watched: 0, part }
    }

    pub(super) fn with_watched(self, watched: u32) -> Self {
        Self { watched, ..self }
    }

    /// Decodes the image into any type, straight from DynamoDB JSON.
    ///
    /// Strings without escapes can be borrowed as `&str`. `N` reads into every integer and float type, and as exact text
    /// into `String` or [`Number`](super::Number); `B` into bytes; sets into sequences; `M` and `L` into structs, maps and
    /// sequences; `NULL` into `None` or `()`. Attributes that the type does not name are skipped.
    ///
    /// # Errors
    /// Invalid UTF-8 or JSON, or an attribute that the type does not accept, with its path.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, DecodeError> {
        de::from_json(self.json()).map_err(|error| self.locate(error))
    }

    /// Decodes the image into a type that a handler takes, which may be [`RawImage`].
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_owned<T: FromImage>(&self) -> Result<T, DecodeError> {
        T::from_image(*self)
    }

    /// The text of one attribute of type `S` or `N`; nothing if the item does not have it.
    ///
    /// # Errors
    /// An attribute of another type, and broken JSON before it.
    pub fn attribute(&self, name: &str) -> Result<Option<Cow<'a, str>>, DecodeError> {
        if self.span.is_absent() {
            return Ok(None);
        }
        find::text(self.body, self.span.start(), name).map_err(|error| self.locate(error))
    }

    /// The same as bytes, which are looked up without looking at each of them if the attribute was
    /// [watched for](super::Split::watching).
    ///
    /// # Errors
    /// As [`attribute`](Self::attribute).
    #[inline]
    pub(crate) fn attribute_bytes(&self, name: &str) -> Result<Option<Cow<'a, [u8]>>, DecodeError> {
        if self.watched != 0
            && let Some(text) = find::watched_text(self.body, self.watched as usize, name)
        {
            return Ok(Some(Cow::Borrowed(text)));
        }
        Ok(self.attribute(name)?.map(|text| match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }))
    }

    /// The whole item, without any loss.
    ///
    /// # Errors
    /// Invalid UTF-8 or JSON, an unknown type tag, invalid base64.
    pub fn item(&self) -> Result<serde_dynamo::Item, DecodeError> {
        de::item_from_json(self.json()).map_err(|error| self.locate(error))
    }

    /// What is wrong with an image that is broken at an offset.
    pub(super) fn broken(&self, at: usize) -> DecodeError {
        self.locate(DecodeError::at(DecodeReason::Syntax { expected: "an object of attributes" }, at))
    }

    /// The DynamoDB JSON of the image, as it came.
    pub fn json(&self) -> &'a [u8] {
        if self.span.is_absent() { b"{}" } else { &self.body[self.span.range()] }
    }

    /// The same, sharing the payload.
    pub fn json_bytes(&self) -> Bytes {
        if self.span.is_absent() { Bytes::from_static(b"{}") } else { self.body.slice(self.span.range()) }
    }

    /// Which part of the record this is.
    pub fn part(&self) -> Part {
        self.part
    }

    #[cold]
    fn locate(&self, error: DecodeError) -> DecodeError {
        locate(error, self.json(), self.position, self.part)
    }
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("part", &self.part).field("bytes", &self.json().len()).finish_non_exhaustive()
    }
}

/// An image that a handler takes as it is, to decode it inside.
///
/// It owns a share of the payload, so `Record<RawImage>` travels like every other record, and types that borrow
/// from the payload can be read from it: the fastest way there is.
///
/// ```
/// use anabranch::record::wire::RawImage;
///
/// #[derive(serde::Deserialize)]
/// struct Pet<'a> {
///     name: &'a str,
/// }
///
/// fn greet(image: &RawImage) -> Result<String, Box<dyn std::error::Error>> {
///     let pet: Pet = image.read()?;
///     Ok(format!("Hello, {}", pet.name))
/// }
/// ```
#[derive(Clone)]
pub struct RawImage {
    json: Bytes,
    position: u32,
    part: Part,
}

impl RawImage {
    /// Decodes the image into any type, which may borrow from it.
    ///
    /// # Errors
    /// As [`Image::decode`].
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, DecodeError> {
        de::from_json(&self.json).map_err(|error| locate(error, &self.json, self.position, self.part))
    }

    /// The whole item, without any loss.
    ///
    /// # Errors
    /// As [`Image::item`].
    pub fn item(&self) -> Result<serde_dynamo::Item, DecodeError> {
        de::item_from_json(&self.json).map_err(|error| locate(error, &self.json, self.position, self.part))
    }

    /// The text of one attribute of type `S` or `N`; nothing if the item does not have it.
    ///
    /// # Errors
    /// As [`Image::attribute`].
    pub fn attribute(&self, name: &str) -> Result<Option<Cow<'_, str>>, DecodeError> {
        find::text(&self.json, 0, name).map_err(|error| locate(error, &self.json, self.position, self.part))
    }

    /// The DynamoDB JSON of the image, as it came.
    pub fn json(&self) -> &Bytes {
        &self.json
    }
}

impl fmt::Debug for RawImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawImage").field("part", &self.part).field("bytes", &self.json.len()).finish_non_exhaustive()
    }
}

/// What a handler can take an image as: every type that owns what it is deserialized from, and [`RawImage`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from an image",
    note = "derive `serde::Deserialize` for it; a type that borrows is read inside the handler, from `RawImage::read`"
)]
pub trait FromImage: Sized + Send + 'static {
    /// Reads an image.
    ///
    /// # Errors
    /// As [`Image::decode`].
    fn from_image(image: Image<'_>) -> Result<Self, DecodeError>;
}

impl<T: DeserializeOwned + Send + 'static> FromImage for T {
    fn from_image(image: Image<'_>) -> Result<Self, DecodeError> {
        image.decode()
    }
}

impl FromImage for RawImage {
    fn from_image(image: Image<'_>) -> Result<Self, DecodeError> {
        Ok(Self { json: image.json_bytes(), position: image.position, part: image.part })
    }
}

#[cold]
fn locate(error: DecodeError, json: &[u8], position: u32, part: Part) -> DecodeError {
    let mut path = part.path(position);
    if let Some(offset) = error.offset() {
        path::append(&mut path, json, offset);
    }
    error.with_path(path)
}
