//! A message as an entry of a request.

use std::sync::Arc;

use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};

use crate::sink::publisher::{Attribute, Message, PublishError};

/// Attributes that raw delivery to a queue passes on; with more it drops the message.
const ATTRIBUTES: usize = 10;
/// Characters that a subject may have.
const SUBJECT: usize = 100;
/// Characters that the ids of a FIFO topic may have.
const ID: usize = 128;

/// A message on its way into a request: it fits, or it is known why not.
pub(super) struct Draft<'a> {
    pub(super) message: &'a Message,
    pub(super) bytes: usize,
    pub(super) misfit: Option<PublishError>,
    fifo: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn of(message: &'a Message, topic: &Arc<str>, fifo: bool, limit: usize) -> Self {
        let bytes = size(message);
        let unfit = |reason| PublishError::Unfit { topic: Arc::clone(topic), reason };
        let misfit = match broken_rule(message, fifo) {
            Some(reason) => Some(unfit(reason)),
            None if bytes > limit => Some(PublishError::TooLarge { topic: Arc::clone(topic), bytes, limit }),
            None => None,
        };
        Self { message, bytes, misfit, fifo }
    }

    /// The entry at this place of a request.
    pub(super) fn entry(&self, place: usize) -> PublishBatchRequestEntry {
        let mut entry = PublishBatchRequestEntry::builder()
            .id(place.to_string())
            .message(self.message.body())
            .set_subject(self.message.subject_text().map(str::to_owned));
        for (name, attribute) in self.message.attributes() {
            let (data_type, value) = value(attribute);
            let value = MessageAttributeValue::builder().data_type(data_type).string_value(value).build();
            entry = entry.message_attributes(name, value.expect("the type is set"));
        }
        if self.fifo {
            entry = entry
                .set_message_group_id(self.message.group_id().map(str::to_owned))
                .set_message_deduplication_id(self.message.deduplication().map(str::to_owned));
        }
        entry.build().expect("id and message are set")
    }
}

fn value(attribute: &Attribute) -> (&'static str, String) {
    match attribute {
        Attribute::String(text) => ("String", text.clone()),
        Attribute::Number(number) => ("Number", number.clone()),
        Attribute::Strings(texts) => ("String.Array", serde_json::to_string(texts).expect("texts are JSON")),
    }
}

/// What SNS counts, and the subject, which it may count.
fn size(message: &Message) -> usize {
    let attributes = message.attributes().iter().map(|(name, attribute)| {
        let (data_type, value) = value(attribute);
        name.len() + data_type.len() + value.len()
    });
    message.body().len() + message.subject_text().map_or(0, str::len) + attributes.sum::<usize>()
}

fn broken_rule(message: &Message, fifo: bool) -> Option<&'static str> {
    let id = |id: Option<&str>| {
        id.is_some_and(|id| (1..=ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()))
    };
    let empty = |(name, attribute): (&String, &Attribute)| name.is_empty() || value(attribute).1.is_empty();
    if message.body().is_empty() {
        Some("its text is empty")
    } else if message.attributes().len() > ATTRIBUTES {
        Some("it has more than 10 attributes, and raw delivery to a queue would drop it")
    } else if message.attributes().iter().any(empty) {
        Some("an attribute has no name or an empty value")
    } else if message.subject_text().is_some_and(|subject| !is_subject(subject)) {
        Some("its subject is not 1 to 100 printable ASCII characters that begin with another than a space")
    } else if fifo && !id(message.group_id()) {
        Some("a FIFO topic needs a group of 1 to 128 ASCII characters without spaces")
    } else if fifo && !id(message.deduplication()) {
        Some("a FIFO topic needs an id for deduplication of 1 to 128 ASCII characters without spaces")
    } else {
        None
    }
}

fn is_subject(subject: &str) -> bool {
    let printable = subject.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    printable && (1..=SUBJECT).contains(&subject.len()) && !subject.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::{super::DEFAULT_LIMIT, *};

    #[test]
    fn rules_are_checked_before_anything_is_sent() {
        let misfit = |message: Message, fifo| {
            Draft::of(&message, &"topic".into(), fifo, DEFAULT_LIMIT).misfit.map(|e| e.to_string())
        };
        let plain = || Message::new("x");
        let many = (0..11).fold(plain(), |message, n| message.attribute(format!("a{n}"), "x"));
        let cases = [
            (Message::new(""), false, "text is empty"),
            (many, false, "more than 10 attributes"),
            (plain().attribute("a", ""), false, "empty value"),
            (plain().attribute("", "a"), false, "no name"),
            (plain().subject(""), false, "subject"),
            (plain().subject("two\nlines"), false, "subject"),
            (plain().subject(" space"), false, "subject"),
            (plain().subject("s".repeat(101)), false, "subject"),
            (plain().deduplication_id("d"), true, "needs a group"),
            (plain().group("g g").deduplication_id("d"), true, "needs a group"),
            (plain().group("g"), true, "needs an id"),
            (plain().group("g").deduplication_id("d".repeat(129)), true, "needs an id"),
            (Message::new("x".repeat(DEFAULT_LIMIT)).subject("s"), false, "262145 bytes"),
        ];
        for (message, fifo, reason) in cases {
            let said = misfit(message, fifo).expect("a misfit");
            assert!(said.contains(reason) && said.contains("`topic`"), "{said}");
        }
        assert_eq!(misfit(Message::new("x".repeat(DEFAULT_LIMIT)), false), None);
        assert_eq!(misfit(plain().subject("s".repeat(100)).group("g").deduplication_id("d"), true), None);
    }

    #[test]
    fn the_size_counts_everything() {
        let message = Message::new("12345").subject("123").attribute("n", 1.5).attribute("t", vec!["a".to_owned()]);
        assert_eq!(size(&message), 5 + 3 + (1 + 6 + 3) + (1 + 12 + 5));
    }
}
