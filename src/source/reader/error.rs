//! Why a stream cannot be read on.

use crate::source::mapping::{MappingError, ShardId, StreamFault};

/// Why a stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReaderError {
    /// Its shards cannot be listed, or one of them cannot be read, after several tries.
    #[error("stream {stream} cannot be read{}", .shard.as_deref().map(|shard| format!(": shard {shard}")).unwrap_or_default())]
    Failed {
        /// The ARN of the stream.
        stream: String,
        /// The shard; none if shards cannot be listed.
        shard: Option<ShardId>,
        /// What the service says.
        source: StreamFault,
    },
    /// There is no such stream: it was disabled more than a day ago, or its table was deleted.
    #[error("there is no stream {stream}; a table whose stream is enabled again has another one")]
    Gone {
        /// The ARN of the stream.
        stream: String,
    },
    /// Records were trimmed before they were read, and the policy is to fail.
    #[error(transparent)]
    Trimmed(#[from] MappingError),
    /// A state is that of another stream.
    #[error("a state of stream {found} says nothing about stream {stream}")]
    OtherStream {
        /// The ARN of the reader's stream.
        stream: String,
        /// The ARN of the state's stream.
        found: String,
    },
}
