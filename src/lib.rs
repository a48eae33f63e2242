//! Anabranch.
pub mod sink;
