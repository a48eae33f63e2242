//! What happened to an item.

pub mod wire;

pub use wire::*;
