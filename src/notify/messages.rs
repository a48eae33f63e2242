//! From records to messages.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::{
    handler::Failure,
    record::{FromImage, Record, StreamView},
    sink::publisher::Message,
};

pub(super) type BuildFn<T, V> = dyn Fn(&Record<T, V>) -> Result<Vec<Message>, Failure> + Send + Sync;

/// What a message builder may return: a [`Message`], an `Option`, an array or a `Vec` of them, or a `Result` of any.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a message builder can return",
    note = "return `Message`, `Option<Message>`, `Vec<Message>`, or a `Result` of one whose error is `Failure` or any error"
)]
pub trait IntoMessages {
    /// The messages that this value stands for.
    ///
    /// # Errors
    /// The failure of the record.
    fn into_messages(self) -> Result<Vec<Message>, Failure>;
}

impl IntoMessages for Message {
    fn into_messages(self) -> Result<Vec<Message>, Failure> {
        Ok(vec![self])
    }
}

impl IntoMessages for Option<Message> {
    fn into_messages(self) -> Result<Vec<Message>, Failure> {
        Ok(self.into_iter().collect())
    }
}

impl IntoMessages for Vec<Message> {
    fn into_messages(self) -> Result<Vec<Message>, Failure> {
        Ok(self)
    }
}

impl<const N: usize> IntoMessages for [Message; N] {
    fn into_messages(self) -> Result<Vec<Message>, Failure> {
        Ok(self.into())
    }
}

impl<M: IntoMessages, E: Into<Failure>> IntoMessages for Result<M, E> {
    fn into_messages(self) -> Result<Vec<Message>, Failure> {
        self.map_err(Into::into)?.into_messages()
    }
}

/// Gives messages the group of their item and an id of their own, where the builder did not.
pub(super) fn addressed<T: FromImage, V: StreamView>(messages: Vec<Message>, record: &Record<T, V>) -> Vec<Message> {
    let address = |(at, mut message): (usize, Message)| {
        if message.group_id().is_none() {
            message = message.group(format!("{:016x}", record.raw().lane()));
        }
        if message.deduplication().is_none() {
            let id = deduplication_id(record, at, &message);
            message = message.deduplication_id(id);
        }
        message
    };
    messages.into_iter().enumerate().map(address).collect()
}

/// The event, which side of it is meant, the place of the message among those of the record, and a hash of its text: two
/// handlers may notify one topic of the same event, and neither may be taken for a repetition of the other.
fn deduplication_id<T: FromImage, V: StreamView>(record: &Record<T, V>, at: usize, message: &Message) -> String {
    let event = match record.event_id() {
        Some(id) => id.to_owned(),
        // Rows that were read together share their version, and one that is read again has another.
        None if record.origin().is_snapshot() => format!("snapshot-{:016x}", record.raw().lane()),
        None => record.version().into(),
    };
    let mut hash = DefaultHasher::new();
    (message.body(), message.subject_text()).hash(&mut hash);
    format!("{event}{}.{at}.{:016x}", record.side(), hash.finish())
}
