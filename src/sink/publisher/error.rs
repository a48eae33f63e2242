//! Why a message was not published.

use std::{io, sync::Arc};

use crate::sink::{lines::LineError, table::Cause};

/// Why a message was not published, and by its kind what to do about it.
///
/// Never shows what is in a message. Cloned for every message that one failed request leaves behind.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message is larger than the topic takes.
    #[error("the message has {bytes} bytes with its attributes, topic `{topic}` takes {limit}")]
    TooLarge {
        /// The topic.
        topic: Arc<str>,
        /// Its size.
        bytes: usize,
        /// What a message may have.
        limit: usize,
    },
    /// The message breaks a rule of the topic, found before it was sent.
    #[error("the message does not fit topic `{topic}`: {reason}")]
    Unfit {
        /// The topic.
        topic: Arc<str>,
        /// Which rule.
        reason: &'static str,
    },
    /// The topic refuses the message.
    #[error("topic `{topic}` refuses the message; compare it with the limits of the topic")]
    Refused {
        /// The topic.
        topic: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The topic takes fewer messages than it is sent.
    #[error("topic `{topic}` is throttled; send less at a time, or ask for a higher quota")]
    Throttled {
        /// The topic.
        topic: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// There is no such topic where the client looks for it.
    #[error("topic `{topic}` does not exist; create it, or correct its ARN (region and account stand in it)")]
    NoSuchTopic {
        /// The topic.
        topic: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The credentials are missing, expired, or do not allow to publish.
    #[error(
        "access to topic `{topic}` is denied; allow `sns:Publish` on it to the function's role, and the use of its key \
         if it is encrypted"
    )]
    Denied {
        /// The topic.
        topic: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The service or the way to it failed.
    #[error("the request to topic `{topic}` failed")]
    Failed {
        /// The topic.
        topic: Arc<str>,
        /// What is known of it.
        source: Cause,
    },
    /// The answer does not mention the message.
    #[error("topic `{topic}` answered without a word about this message")]
    Unanswered {
        /// The topic.
        topic: Arc<str>,
    },
    /// The file or writer failed.
    #[error("the message could not be written")]
    Write(#[source] Arc<io::Error>),
    /// The task that was writing ended before it had an answer.
    #[error("the writer stopped before it had acknowledged the message")]
    Interrupted,
    /// An adapter of your own failed.
    #[error("the message could not be published")]
    Other(#[source] Cause),
}

impl PublishError {
    /// Wraps the error of an adapter of your own; it counts as one that a repetition may mend.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(Arc::from(error.into()))
    }

    /// Whether no repetition can mend it: the message itself does not fit. Everything else may pass.
    pub fn is_reject(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Unfit { .. } | Self::Refused { .. })
    }
}

impl From<LineError> for PublishError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Write(error) => Self::Write(error),
            LineError::Interrupted => Self::Interrupted,
        }
    }
}
