//! Where batches come from.

#[cfg(feature = "dynamodb")]
pub mod backfill;
#[cfg(feature = "export")]
pub mod export;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "mapping")]
pub mod mapping;
#[cfg(feature = "mapping")]
pub mod reader;
#[cfg(feature = "mapping")]
pub mod redrive;
#[cfg(feature = "streams")]
pub mod streams;
