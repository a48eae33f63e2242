//! What tests need: yours and ours.

#[cfg(feature = "cli")]
pub mod embedded;
pub mod opensearch;
pub mod proxy;
#[cfg(feature = "mapping")]
pub mod streams;
