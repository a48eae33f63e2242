//! Anabranch.

pub mod record;
