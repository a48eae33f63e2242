//! Where positions are kept.

mod file;
mod memory;

pub use file::{CheckpointError, FileCheckpoints};
pub use memory::MemoryCheckpoints;
