#![doc = include_str!("docs/front.md")]

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "template")]
pub mod check;
pub mod dispatch;
pub mod docs;
pub mod handler;
pub mod idempotency;
pub mod metric;
pub mod notify;
pub mod pattern;
pub mod record;
pub mod replica;
pub mod router;
#[cfg(feature = "dynamodb")]
pub mod scan;
pub mod search;
pub mod sink;
pub mod source;
#[cfg(feature = "template")]
pub mod template;
#[cfg(feature = "testing")]
pub mod testing;
pub mod view;

#[cfg(feature = "lambda")]
pub use source::lambda;

/// The README's examples are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
