//! What tests need: yours and ours.

#[cfg(feature = "cli")]
pub mod embedded;
pub mod opensearch;
#[cfg(feature = "mapping")]
pub mod streams;
pub mod proxy;
