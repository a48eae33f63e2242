//! Why a change was not notified of.

use std::sync::Arc;

/// Why a change was not notified of, whatever the topic. What the topic says is a
/// [`PublishError`](crate::sink::publisher::PublishError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The change cannot be written as JSON.
    #[error("the change cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The invocation neared its end.
    #[error("no answer from topic `{topic}` before the deadline")]
    OutOfTime {
        /// The topic.
        topic: Arc<str>,
    },
    /// Of the record's messages some were published, and then another record's failed.
    #[error("some of the record's messages were published to topic `{topic}`, and the others not started")]
    Incomplete {
        /// The topic.
        topic: Arc<str>,
    },
}
