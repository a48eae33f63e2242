//! What every AWS adapter shares: how clients are configured, and what their errors say.

mod config;
mod failure;

#[cfg(test)]
pub(crate) mod double;

pub use config::{defaults, load};
pub use failure::AwsFailure;
