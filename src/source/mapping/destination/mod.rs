//! Where failures go.

mod folder;
#[cfg(feature = "sns")]
mod sns;
#[cfg(feature = "sqs")]
mod sqs;

pub use folder::FolderDestination;
#[cfg(feature = "sns")]
pub use sns::SnsDestination;
#[cfg(feature = "sqs")]
pub use sqs::SqsDestination;
