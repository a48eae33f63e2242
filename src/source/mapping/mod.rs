//! The event source mapping, as AWS does it between a stream and a function, in this process.
//!
//! # Flow
//! A [`Mapping`] reads the shards of a stream, parents first, declines what the filter criteria decline, gathers batches by
//! number, bytes and time, invokes the function, and does with its answer what AWS does: checkpoint, retry, split, discard and
//! report. [`Machine`] is the same without input and output, for tests and for other runtimes. [`Admission`] says which
//! mappings AWS admits, and in which words it refuses the others.
//!
//! # Guarantees
//! Every record is handled at least once, in order per item; a position never passes a record that is not done with, and is
//! saved only after success. A shard begins once its parent's end is saved.
//!
//! # Assumptions
//! One process per group and stream.
//!
//! # Caveats
//! What AWS does not document is chosen here, each in one place; the chapter `docs::local` names it.
//!
//! # Errors
//! [`MappingError`] ends a mapping; all else is an [`Event`] and tried again.
//!
//! ```
//! use std::sync::Arc;
//!
//! use anabranch::{
//!     record::{NewImage, RawImage, Record},
//!     router::Router,
//!     source::mapping::{FileCheckpoints, InProcess, Mapping, Settings, Streams},
//! };
//!
//! async fn look(record: Record<RawImage, NewImage>) {}
//!
//! async fn consume(stream_arn: &str, stream: impl Streams) -> Result<(), Box<dyn std::error::Error>> {
//!     let function = InProcess::new("look", Router::<NewImage>::new().every(look));
//!     let mut settings = Settings::new("look");
//!     settings.report_item_failures = true;
//!     let positions = Arc::new(FileCheckpoints::open("positions.json")?);
//!     let mapping = Mapping::new(settings, stream_arn, stream, function).keep("look", positions);
//!     mapping.run(std::future::pending(), |_, events| tracing::info!(?events)).await?;
//!     Ok(())
//! }
//! ```

mod admission;
#[cfg(feature = "streams")]
mod api;
mod checkpoints;
mod command;
mod destination;
mod discovery;
mod driver;
mod event;
mod failure;
mod lane;
mod machine;
pub(in crate::source) mod policy;
mod ports;
mod progress;
mod reader;
mod record;
mod sequence;
mod settings;
mod shard;
mod target;
pub(in crate::source) mod time;
mod tumbling;
pub(in crate::source) mod verdict;

pub use admission::{Admission, AdmissionError, Description, Request};
#[cfg(feature = "streams")]
pub use api::DynamoDbStream;
#[cfg(feature = "dynamodb")]
pub use checkpoints::TableCheckpoints;
#[cfg(any(test, feature = "testing"))]
pub use checkpoints::checkpoints_conform;
pub use checkpoints::{CheckpointError, FileCheckpoints, MemoryCheckpoints};
pub use command::{Command, MappingError, ProcessingResult, Reply};
pub use destination::FolderDestination;
#[cfg(feature = "sns")]
pub use destination::SnsDestination;
#[cfg(feature = "sqs")]
pub use destination::SqsDestination;
pub use driver::{Ended, Mapping, SystemClock};
pub use event::{Event, Metrics, Next};
pub use failure::{Condition, FailureRecord, LastResponse, RecordRange};
pub use machine::Machine;
pub use ports::{
    Answer, Answered, BoxError, Checkpoint, Checkpoints, Clock, Describe, Destination, FaultKind, Position, RecordPage,
    ShardId, ShardInfo, ShardPage, StreamFault, Streams, Target, WindowState,
};
pub use record::{PageError, StreamRecord};
pub use sequence::Sequence;
pub use settings::{PAYLOAD_LIMIT, Settings, StartingPosition, TrimPolicy};
pub use target::InProcess;
#[cfg(feature = "invoke")]
pub use target::{AwsFunction, InvokeError, LocalFunction};
