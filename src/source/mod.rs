//! Where batches come from.

#[cfg(feature = "export")]
pub mod export;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "streams")]
pub mod streams;
