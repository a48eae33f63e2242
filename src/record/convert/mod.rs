//! Records of other crates, to and from ours, without any loss.

#[cfg(feature = "events")]
mod events;
#[cfg(feature = "streams")]
mod streams;

#[cfg(feature = "streams")]
pub use streams::event_from_stream;
