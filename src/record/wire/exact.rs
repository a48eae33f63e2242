//! Types that take a value from an image without any loss.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use super::{de, number};

/// The names by which an image recognizes these types, as `serde_json` does for its `RawValue`.
pub(super) const NUMBER: &str = "$anabranch::record::Number";
pub(super) const ITEM: &str = "$anabranch::record::Item";

/// A number of DynamoDB as its exact text: up to 38 digits, which no float and not every integer holds.
///
/// It can stand anywhere in a type that is read from an image, and for any number. Behind serde's own buffers (`flatten`,
/// `untagged`, internally tagged enums) serde has made a float of a number with a fraction, so reading one there is an error
/// rather than a loss; integers of up to 64 bits pass.
///
/// ```
/// use anabranch::record::wire::Number;
/// # use anabranch::record::wire::split;
/// # let payload = br#"{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"1","NewImage":{
/// #   "balance":{"N":"0.12345678901234567890123456789012345678"}}}}]}"#;
/// # let record = split(payload.as_slice().into())?.next().expect("one record")?;
/// # let image = record.new_image().expect("an insert has a new image");
///
/// #[derive(serde::Deserialize)]
/// struct Account {
///     balance: Number,
/// }
/// let account: Account = image.decode()?;
/// assert_eq!(account.balance.as_str(), "0.12345678901234567890123456789012345678");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(String);

impl Number {
    /// The text, as DynamoDB writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.0
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NUMBER, NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a number as exact text (behind flatten, untagged or an internal tag: an integer of at most 64 bits)",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        if number::is_number(text) { Ok(Number(text.to_owned())) } else { Err(E::custom("the text is not a number")) }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number(value.to_string()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// An item, or a map inside of one, with every attribute as it is: numbers as text, sets, binary, nesting.
///
/// For items without a schema, and for copying. It can stand wherever a type that is read from an image has a map, but not
/// behind serde's own buffers (`flatten`, `untagged`, internally tagged enums), which forget the types of attributes.
///
/// ```
/// use anabranch::record::wire::Item;
/// # use anabranch::record::wire::split;
/// # let payload = br#"{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"1","NewImage":{"scores":{"NS":["1","2.50"]}}}}]}"#;
/// # let record = split(payload.as_slice().into())?.next().expect("one record")?;
/// # let image = record.new_image().expect("an insert has a new image");
/// let Item(item) = image.decode()?;
/// assert_eq!(item["scores"], serde_dynamo::AttributeValue::Ns(vec!["1".into(), "2.50".into()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Item(pub serde_dynamo::Item);

impl fmt::Debug for Item {
    /// Names the attributes only: values are users' data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Item").field(&self.0.keys()).finish()
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ITEM, ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item of an image, not behind flatten, untagged or an internal tag")
    }

    /// The DynamoDB JSON of the item, from our own deserializer only.
    fn visit_borrowed_str<E: Error>(self, json: &'de str) -> Result<Item, E> {
        de::item_from_json(json.as_bytes()).map(Item).map_err(E::custom)
    }
}
