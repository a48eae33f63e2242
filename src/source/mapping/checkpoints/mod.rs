//! Where positions are kept.

#[cfg(any(test, feature = "testing"))]
mod conformance;
mod error;
mod file;
mod memory;
#[cfg(feature = "dynamodb")]
mod table;

#[cfg(any(test, feature = "testing"))]
pub use conformance::checkpoints_conform;
pub use error::CheckpointError;
pub use file::FileCheckpoints;
pub use memory::MemoryCheckpoints;
#[cfg(feature = "dynamodb")]
pub use table::TableCheckpoints;
