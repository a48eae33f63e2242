//! What every AWS adapter shares: how clients are configured, and what their errors say.

#[cfg(feature = "export-s3")]
mod bucket;
mod config;
#[cfg(any(feature = "search", feature = "invoke", feature = "export-s3"))]
mod credentials;
mod environment;
mod failure;
mod http;
mod role;
#[cfg(any(feature = "search", feature = "invoke"))]
mod sign;

#[cfg(test)]
pub(crate) mod double;

#[cfg(feature = "export-s3")]
pub use bucket::bucket;
#[cfg(feature = "invoke")]
pub(crate) use config::endpoint_of;
#[cfg(feature = "cli")]
pub(crate) use config::{behavior, retries, timeouts};
pub use config::{defaults, load};
pub use failure::AwsFailure;
#[cfg(feature = "dynamodb")]
pub(crate) use failure::{FailureKind, without_values};
#[cfg(feature = "invoke")]
pub(crate) use http::connector;
#[cfg(feature = "search")]
pub(crate) use http::trusted;
pub use role::{Role, load_as, load_in};
#[cfg(any(feature = "search", feature = "invoke"))]
pub(crate) use sign::{Lacking, Signer};
