//! Why a batch has no report.

use crate::record::PayloadError;

/// The invocation fails as a whole: Lambda delivers the whole batch again.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The payload is not a DynamoDB stream event.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The earliest unfinished record has no sequence number to name it by; an empty failure list would lose it.
    #[error(
        "record {position} is unfinished and has no sequence number to report ({reason}); failing the whole batch so that it is not lost"
    )]
    NoSequenceNumber {
        /// Its index in the batch.
        position: usize,
        /// Why it is unfinished.
        reason: String,
    },
}
