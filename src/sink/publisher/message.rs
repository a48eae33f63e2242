//! What is published.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A message: a text, and what a topic sorts and filters it by.
///
/// As JSON it is an object of `body`, `subject`, `attributes`, `group` and `deduplicationId`, of which only the first must
/// be there. `Debug` shows no content: it is made of users' data.
///
/// ```
/// use anabranch::sink::publisher::Message;
///
/// let message = Message::new("Mia weighs 4.5 kg").attribute("eventType", "WEIGHT").attribute("weightKg", 4.5);
/// let line = serde_json::to_string(&message)?;
/// assert_eq!(serde_json::from_str::<Message>(&line)?, message);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, Attribute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deduplication_id: Option<String>,
}

/// The value of a message attribute, by which subscriptions filter.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum Attribute {
    /// A text.
    String(String),
    /// A number as text: SNS filters by up to 15 digits, five of them behind the point.
    Number(String),
    /// Texts of which a filter has to match one.
    #[serde(rename = "String.Array")]
    Strings(Vec<String>),
}

impl Message {
    /// A message of this text, whatever it is: plain, made by `format!`, or JSON.
    pub fn new(body: impl Into<String>) -> Self {
        Self { body: body.into(), subject: None, attributes: BTreeMap::new(), group: None, deduplication_id: None }
    }

    /// A message of this value as JSON.
    ///
    /// # Errors
    /// What `serde_json` says of a value that JSON has no place for.
    pub fn json(body: &impl Serialize) -> serde_json::Result<Self> {
        Ok(Self::new(serde_json::to_string(body)?))
    }

    /// Sets the subject, which is that of an e-mail: at most 100 printable ASCII characters on SNS.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Adds an attribute, or replaces that of the same name. SNS takes at most 10 here: with more, raw delivery to
    /// a queue would drop the message.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Attribute>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Puts the message into a group, whose messages are published one after another; on a FIFO topic also its
    /// `MessageGroupId`.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Sets the id under which a FIFO topic takes the message only once within five minutes.
    #[must_use]
    pub fn deduplication_id(mut self, id: impl Into<String>) -> Self {
        self.deduplication_id = Some(id.into());
        self
    }

    /// The text.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The subject, if there is one: see [`subject`](Self::subject).
    pub fn subject_text(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// All attributes.
    pub fn attributes(&self) -> &BTreeMap<String, Attribute> {
        &self.attributes
    }

    /// The group, if it is in one: see [`group`](Self::group).
    pub fn group_id(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// The id for deduplication, if there is one: see [`deduplication_id`](Self::deduplication_id).
    pub fn deduplication(&self) -> Option<&str> {
        self.deduplication_id.as_deref()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("bytes", &self.body.len())
            .field("attributes", &self.attributes.keys())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String(_) => "String",
            Self::Number(_) => "Number",
            Self::Strings(_) => "String.Array",
        })
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Vec<String>> for Attribute {
    fn from(texts: Vec<String>) -> Self {
        Self::Strings(texts)
    }
}

macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl From<$number> for Attribute {
            fn from(number: $number) -> Self {
                Self::Number(number.to_string())
            }
        }
    )*};
}

numbers! { i32 i64 u32 u64 f64 }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_small_document() {
        assert_eq!(serde_json::to_string(&Message::new("hi")).unwrap(), r#"{"body":"hi"}"#);
        let full = Message::json(&[1]).unwrap().subject("s").group("g").deduplication_id("d");
        let full = full.attribute("tags", vec!["a".to_owned()]).attribute("n", 4.5).attribute("who", "ada");
        let document = concat!(
            r#"{"body":"[1]","subject":"s","attributes":{"n":{"type":"Number","value":"4.5"},"#,
            r#""tags":{"type":"String.Array","value":["a"]},"who":{"type":"String","value":"ada"}},"#,
            r#""group":"g","deduplicationId":"d"}"#
        );
        assert_eq!(serde_json::to_string(&full).unwrap(), document);
        assert_eq!(serde_json::from_str::<Message>(document).unwrap(), full);
    }

    #[test]
    fn debug_shows_no_content() {
        let message = Message::new("secret").subject("secret").attribute("name", "secret").group("secret");
        assert!(!format!("{message:?}").contains("secret"));
        assert!(!format!("{:?}", message.attributes()).contains("secret"));
    }
}
