//! Functions: in this process, or behind an invoke API on this machine.

mod in_process;
#[cfg(feature = "invoke")]
mod local;

pub use in_process::InProcess;
#[cfg(feature = "invoke")]
pub use local::{InvokeError, LocalFunction};
