//! The event source mapping, as AWS does it between a stream and a function, in this process.

mod discovery;
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
mod time;
mod tumbling;
mod verdict;

pub use event::{Event, Metrics, Next};
pub use failure::{Condition, FailureRecord, LastResponse, RecordRange};
pub use machine::{Command, Machine, MappingError, ProcessingResult, Reply};
pub use ports::{
    Answer, Answered, BoxError, Checkpoint, Checkpoints, Clock, Describe, Destination, FaultKind, Filter, Position,
    RecordPage, ShardId, ShardInfo, ShardPage, StreamFault, Streams, Target, WindowState,
};
pub use record::{PageError, StreamRecord};
pub use sequence::Sequence;
pub use settings::{PAYLOAD_LIMIT, Settings, StartingPosition, TrimPolicy};
