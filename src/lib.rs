#![doc = include_str!("docs/front.md")]

pub mod dispatch;
pub mod docs;
pub mod handler;
pub mod record;
pub mod replica;
pub mod router;
pub mod search;
pub mod sink;
pub mod source;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "lambda")]
pub use source::lambda;
