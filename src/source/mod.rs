//! Where batches come from.

#[cfg(feature = "lambda")]
pub mod lambda;
