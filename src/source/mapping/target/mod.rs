//! Functions: in this process, behind an invoke API on this machine, or on AWS.

#[cfg(feature = "invoke")]
mod aws;
#[cfg(feature = "invoke")]
mod call;
mod in_process;
#[cfg(feature = "invoke")]
mod local;

#[cfg(feature = "invoke")]
pub use aws::AwsFunction;
pub use in_process::InProcess;
#[cfg(feature = "invoke")]
pub use local::{InvokeError, LocalFunction};
