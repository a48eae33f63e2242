#![doc = include_str!("../docs/notify.md")]

mod document;
mod error;
mod messages;
mod round;

use std::sync::Arc;

pub use document::change_message;
pub use error::NotifyError;
use messages::BuildFn;
pub use messages::IntoMessages;
use round::Round;
use serde::Serialize;

use crate::{
    handler::{Batch, Failure, Handler, Skip},
    record::{Cause, FromImage, NewAndOldImages, Record, StreamView},
    sink::publisher::{Message, Publisher},
};

/// What the function's role must allow on the topic, behind SNS.
pub const ACTIONS: &[&str] = &["sns:Publish"];
/// As many records as Lambda delivers at most: the more of them, the fuller the requests.
const WINDOW: usize = 10_000;

/// Publishes messages about changes. See [the chapter](self) for what it promises.
///
/// ```
/// use std::sync::Arc;
///
/// use anabranch::{dispatch::Dispatcher, handler::Context, notify::Notify, record::{Change, Record}, router::Router};
/// use anabranch::sink::publisher::{Memory, Message};
///
/// #[derive(serde::Deserialize)]
/// struct Pet { name: String, owner: String }
///
/// fn welcome(record: &Record<Pet>) -> Option<Message> {
///     let Change::Insert { new } = &record.change else { return None };
///     Some(Message::new(format!("Welcome, {}!", new.name)).attribute("userId", new.owner.as_str()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let topic = Arc::new(Memory::default());
/// let router = Router::by_attribute("entityType").route("PET", Notify::new(topic.clone(), welcome));
/// # let router: Router = router;
///
/// let batch = r#"{"Records": [{"eventID": "e1", "eventName": "INSERT", "dynamodb": {"SequenceNumber": "111",
///     "Keys":     {"PK": {"S": "USER#ada"}, "SK": {"S": "PET#mia"}},
///     "NewImage": {"entityType": {"S": "PET"}, "name": {"S": "Mia"}, "owner": {"S": "ada"}}}}]}"#;
/// let report = Dispatcher::new(router).dispatch(batch, &Context::default()).await?;
/// assert_eq!(report.applied, 1);
/// assert_eq!(topic.messages()[0].body(), "Welcome, Mia!");
/// # Ok(()) }
/// ```
pub struct Notify<T: Send + 'static, V: StreamView = NewAndOldImages> {
    publisher: Arc<dyn Publisher>,
    build: Arc<BuildFn<T, V>>,
    expired: bool,
    snapshots: bool,
}

impl<T: FromImage, V: StreamView> Notify<T, V> {
    /// Publishes what `build` makes of each record: nothing, a [`Message`], or several.
    ///
    /// `build` must be a pure function of the record: it is called again when the record is delivered again, and may be
    /// called more than once before the message is sent.
    pub fn new<M: IntoMessages>(
        publisher: impl Publisher,
        build: impl Fn(&Record<T, V>) -> M + Send + Sync + 'static,
    ) -> Self {
        Self {
            publisher: Arc::new(publisher),
            build: Arc::new(move |record| build(record).into_messages()),
            expired: false,
            snapshots: false,
        }
    }

    /// Also notifies of items that the table's time to live has deleted.
    #[must_use]
    pub fn with_expired(self) -> Self {
        Self { expired: true, ..self }
    }

    /// Also notifies of rows that a scan or an export has read, as if they had been inserted now.
    #[must_use]
    pub fn with_snapshots(self) -> Self {
        Self { snapshots: true, ..self }
    }

    /// The messages of a record, or why it has none.
    fn messages(&self, record: &Record<T, V>) -> Result<Result<Vec<Message>, Skip>, Failure> {
        if !self.snapshots && record.origin().is_snapshot() {
            return Ok(Err(Skip::Snapshot));
        }
        if !self.expired && record.cause() == Cause::TimeToLive {
            return Ok(Err(Skip::Filtered));
        }
        let messages = (self.build)(record)?;
        if messages.is_empty() {
            return Ok(Err(Skip::Filtered));
        }
        Ok(Ok(messages::addressed(messages, record)))
    }
}

impl<T: FromImage + Serialize> Notify<T> {
    /// Publishes every change as JSON: see [`change_message`].
    pub fn changes(publisher: impl Publisher) -> Self {
        Self::new(publisher, |record: &Record<T>| change_message(record).map_err(Failure::reject))
    }
}

impl<T: FromImage, V: StreamView> Handler<T, V> for Notify<T, V> {
    async fn handle(&self, batch: &mut Batch<'_, T, V>) {
        while Round::admit(self, batch).publish(&*self.publisher, batch).await {}
    }

    fn has_effect(&self, record: &Record<T, V>) -> bool {
        matches!(self.messages(record), Ok(Ok(_)))
    }

    fn window(&self) -> usize {
        WINDOW
    }
}
