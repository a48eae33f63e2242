//! Why checkpoints cannot be kept.

use std::io;

#[cfg(feature = "dynamodb")]
use crate::aws::AwsFailure;

/// Why checkpoints cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error("the checkpoint file {path} cannot be used")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} is no checkpoint file")]
    Content {
        /// The file.
        path: String,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// The thread that was writing ended.
    #[error("the checkpoint file was not written to its end")]
    Interrupted,
    /// The table cannot be read or written.
    #[cfg(feature = "dynamodb")]
    #[error("the checkpoints in table `{table}` cannot be used; does it exist, keyed by the strings `PK` and `SK`?")]
    Table {
        /// The table.
        table: String,
        /// What the service says.
        source: AwsFailure,
    },
    /// A row of the table is no checkpoint.
    #[cfg(feature = "dynamodb")]
    #[error("table `{table}` has a row among the checkpoints that is none")]
    Row {
        /// The table.
        table: String,
        /// What is wrong with it.
        source: serde_dynamo::Error,
    },
}
