//! What happened to an item.

#[cfg(any(feature = "events", feature = "streams"))]
mod convert;
pub mod wire;

#[cfg(feature = "streams")]
pub use convert::event_from_stream;
pub use wire::*;
