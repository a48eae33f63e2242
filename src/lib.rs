#![doc = include_str!("docs/front.md")]

pub mod dispatch;
pub mod docs;
pub mod handler;
pub mod idempotency;
pub mod notify;
pub mod pattern;
pub mod record;
pub mod replica;
pub mod router;
pub mod search;
pub mod sink;
pub mod source;
#[cfg(feature = "testing")]
pub mod testing;
pub mod view;

#[cfg(feature = "lambda")]
pub use source::lambda;

/// The README's examples are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
