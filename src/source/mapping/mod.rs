//! The event source mapping, as AWS does it between a stream and a function, in this process.

mod admission;
#[cfg(feature = "streams")]
mod api;
mod checkpoints;
mod destination;
mod discovery;
mod driver;
mod event;
mod failure;
mod lane;
mod machine;
mod policy;
mod ports;
mod progress;
mod reader;
mod record;
mod sequence;
mod settings;
mod shard;
mod target;
mod time;
mod tumbling;
mod verdict;

pub use admission::{Admission, AdmissionError, Description, Request};
#[cfg(feature = "streams")]
pub use api::DynamoDbStream;
pub use checkpoints::{CheckpointError, FileCheckpoints, MemoryCheckpoints};
pub use destination::FolderDestination;
#[cfg(feature = "sns")]
pub use destination::SnsDestination;
#[cfg(feature = "sqs")]
pub use destination::SqsDestination;
pub use driver::{Ended, Mapping, SystemClock};
pub use event::{Event, Metrics, Next};
pub use failure::{Condition, FailureRecord, LastResponse, RecordRange};
pub use machine::{Command, Machine, MappingError, ProcessingResult, Reply};
pub use ports::{
    Answer, Answered, BoxError, Checkpoint, Checkpoints, Clock, Describe, Destination, FaultKind, Position, RecordPage,
    ShardId, ShardInfo, ShardPage, StreamFault, Streams, Target, WindowState,
};
pub use record::{PageError, StreamRecord};
pub use sequence::Sequence;
pub use settings::{PAYLOAD_LIMIT, Settings, StartingPosition, TrimPolicy};
pub use target::InProcess;
#[cfg(feature = "invoke")]
pub use target::{InvokeError, LocalFunction};
