//! Why a letter could not be kept or read back.

use std::{io, sync::Arc};

#[cfg(feature = "aws")]
use crate::aws::AwsFailure;
use crate::sink::lines::LineError;

/// Why a letter could not be kept, or a kept one not be read.
///
/// Cloned for every letter that one failed call leaves behind.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// The document is larger than the sink takes, even with its record compressed.
    #[error("the letter takes {size} bytes when compressed, the sink holds {limit}")]
    TooLarge {
        /// Bytes of the document with its record compressed.
        size: usize,
        /// Bytes that the sink takes.
        limit: usize,
    },
    /// The file or writer failed.
    #[error("the letter could not be written")]
    Write(#[source] Arc<io::Error>),
    /// AWS refused the call or the entry, or could not be reached.
    #[cfg(feature = "aws")]
    #[error("queue {queue}: {failure}")]
    Queue {
        /// The queue's address.
        queue: Arc<str>,
        /// What AWS said.
        failure: AwsFailure,
    },
    /// The sink's answer does not mention the letter.
    #[error("the sink answered without a word about this letter")]
    Unanswered,
    /// The task that was writing ended before it had an answer.
    #[error("the writer stopped before it had acknowledged the letter")]
    Interrupted,
    /// A document that is not a letter, found when reading back.
    #[error("not a dead letter: {reason}")]
    Unreadable {
        /// What is wrong with the document.
        reason: String,
    },
    /// An adapter of your own failed.
    #[error("the letter could not be kept")]
    Other(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl DeadLetterError {
    /// Wraps the error of an adapter of your own.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(Arc::from(error.into()))
    }

    pub(super) fn unreadable(reason: impl Into<String>) -> Self {
        Self::Unreadable { reason: reason.into() }
    }
}

impl From<LineError> for DeadLetterError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Write(error) => Self::Write(error),
            LineError::Interrupted => Self::Interrupted,
        }
    }
}

impl From<io::Error> for DeadLetterError {
    fn from(error: io::Error) -> Self {
        Self::Write(Arc::new(error))
    }
}
