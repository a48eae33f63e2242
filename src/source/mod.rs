//! Where batches come from.

#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "streams")]
pub mod streams;
