//! Why a stream cannot be read.

use aws_sdk_dynamodbstreams::{
    error::SdkError,
    operation::{
        describe_stream::DescribeStreamError, get_records::GetRecordsError, get_shard_iterator::GetShardIteratorError,
    },
};

use crate::aws::AwsFailure;

/// Why a stream cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Its shards cannot be listed.
    #[error(
        "the shards of stream {stream} cannot be listed; is it enabled, and may dynamodb:DescribeStream be called?"
    )]
    Describe {
        /// The ARN of the stream.
        stream: String,
        /// What the service says.
        source: AwsFailure,
    },
    /// There is no way back to a position: its records may have been trimmed after 24 hours.
    #[error("stream {stream} cannot be read from the kept position of shard {shard}; records are kept 24 hours")]
    Position {
        /// The ARN of the stream.
        stream: String,
        /// The shard.
        shard: String,
        /// What the service says.
        source: AwsFailure,
    },
    /// The service gave no iterator, though it must.
    #[error("stream {stream} gave no iterator for shard {shard}")]
    NoIterator {
        /// The ARN of the stream.
        stream: String,
        /// The shard.
        shard: String,
    },
    /// Records cannot be read.
    #[error("shard {shard} of stream {stream} cannot be read; may dynamodb:GetRecords be called?")]
    Read {
        /// The ARN of the stream.
        stream: String,
        /// The shard.
        shard: String,
        /// What the service says.
        source: AwsFailure,
    },
}

impl StreamError {
    pub(super) fn describe(stream: &str, error: SdkError<DescribeStreamError>) -> Self {
        Self::Describe { stream: stream.to_owned(), source: AwsFailure::of(&error) }
    }

    pub(super) fn position(stream: &str, shard: &str, error: SdkError<GetShardIteratorError>) -> Self {
        Self::Position { stream: stream.to_owned(), shard: shard.to_owned(), source: AwsFailure::of(&error) }
    }

    pub(super) fn read(stream: &str, shard: &str, error: SdkError<GetRecordsError>) -> Self {
        Self::Read { stream: stream.to_owned(), shard: shard.to_owned(), source: AwsFailure::of(&error) }
    }
}
