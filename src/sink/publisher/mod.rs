//! Publishers: where notifications go.
//!
//! [`Publisher`] is the port. Adapters: [`Memory`] for tests, [`JsonLines`] for a look at what would be sent, and `Sns`
//! (feature `sns`).
//!
//! ```
//! use anabranch::sink::publisher::{Memory, Message, Publisher};
//! use futures_util::StreamExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let topic = Memory::default();
//! let message = Message::new("Welcome!").subject("A new pet").attribute("userId", "ada").group("PET#mia");
//! let results: Vec<_> = topic.publish(&[message.clone()]).collect().await;
//! assert!(matches!(results[..], [(0, Ok(()))]));
//! assert_eq!(topic.messages(), [message]);
//! # }
//! ```

mod error;
mod json_lines;
mod memory;
mod message;
#[cfg(feature = "sns")]
mod sns;

pub use error::PublishError;
use futures_util::stream::BoxStream;
pub use json_lines::{AppendFile, JsonLines};
pub use memory::{Fault, Memory};
pub use message::{Attribute, Message};
#[cfg(feature = "sns")]
pub use sns::Sns;

/// Publishes messages, and says of each whether it was taken.
///
/// Object safe, so that a handler holds an `Arc<dyn Publisher>`. Delivery is at least once: a message whose result is an
/// error, or whose call was dropped, may have been taken all the same.
///
/// A group's messages are published in order. Behind one that failed, the rest of its group is not published; after a
/// failure that a repetition may mend, no message is that was not on its way already.
pub trait Publisher: Send + Sync + 'static {
    /// The name of what is published to, as errors show it.
    fn name(&self) -> &str;

    /// Publishes messages in as few requests as it can, and yields what came of each, with its index, as soon as it is
    /// known. Messages that were not published for the sake of an earlier one that failed yield nothing.
    fn publish<'a>(&'a self, messages: &'a [Message]) -> BoxStream<'a, (usize, Result<(), PublishError>)>;
}

impl<P: Publisher + ?Sized> Publisher for std::sync::Arc<P> {
    fn name(&self) -> &str {
        P::name(self)
    }

    fn publish<'a>(&'a self, messages: &'a [Message]) -> BoxStream<'a, (usize, Result<(), PublishError>)> {
        P::publish(self, messages)
    }
}
