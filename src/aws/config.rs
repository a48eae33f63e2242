//! The one place where AWS clients get their behaviour, retries and timeouts.

#[cfg(any(feature = "invoke", feature = "export-s3"))]
use std::env;
use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;

use super::environment::Environment;

/// Attempts per call: throttles, 5xx and lost connections are tried again this often.
const ATTEMPTS: u32 = 8;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// A loader with the toolkit's pinned behaviour, to add a region, a profile or credentials to.
///
/// - behaviour version 2026-01-12, so that an update of the SDK changes nothing silently;
/// - standard retries: 8 attempts, exponential backoff with jitter from 50 ms to 2 s;
/// - timeouts: 2 s to connect, 5 s per attempt, 30 s per call. A caller with a
///   deadline ends the call earlier.
///
/// Region, credentials and endpoints (`AWS_ENDPOINT_URL`,
/// `AWS_ENDPOINT_URL_DYNAMODB` and the like) come from the environment, as in
/// every AWS SDK.
///
/// All clients of a runtime share one HTTP client: certificates are loaded once, connections kept together, and every
/// attempt counts in the metrics. `ANABRANCH_TLS_ROOTS=amazon` makes it trust Amazon's root certificates only, which
/// shortens a cold start; the default is the system's. A client of your own (`http_client`) does neither.
pub fn defaults() -> ConfigLoader {
    aws_config::defaults(behavior())
        .retry_config(retries())
        .timeout_config(timeouts())
        .http_client(super::http::shared())
}

/// The configuration of a function, once for a runtime and then shared, credentials included: with the behaviour of [`defaults`], and
/// from environment variables alone, which is where Lambda has it.
///
/// - `AWS_REGION`, or `AWS_DEFAULT_REGION`;
/// - `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`; or, with the feature `containers`, `AWS_CONTAINER_CREDENTIALS_FULL_URI`
///   or `_RELATIVE_URI`;
/// - `AWS_ENDPOINT_URL`, and those of single services such as `AWS_ENDPOINT_URL_DYNAMODB`, unless `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`;
/// - `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`, `AWS_ACCOUNT_ID_ENDPOINT_MODE`, `AWS_SDK_UA_APP_ID`.
///
/// A program that runs elsewhere, with a profile or as an instance of EC2, takes `defaults().load().await`, and hands clients of its own to
/// the sinks. A function on a laptop is given a profile's credentials by `eval "$(aws configure export-credentials --format env)"`.
pub async fn load() -> SdkConfig {
    if let Some(config) = super::http::config() {
        return config;
    }
    let config = Environment::of_process().config();
    super::http::keep(&config);
    config
}

/// The address of a service that is called without a client of the SDK, if it is not that of AWS: as every SDK reads it, its own variable
/// wins over the endpoint of the configuration.
#[cfg(any(feature = "invoke", feature = "export-s3"))]
pub(crate) fn endpoint_of(config: &SdkConfig, service: &str) -> Option<String> {
    own_endpoint(service, |name| env::var(name).ok()).or_else(|| config.endpoint_url().map(str::to_owned))
}

/// An empty variable is none.
#[cfg(any(feature = "invoke", feature = "export-s3"))]
fn own_endpoint(service: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    variable(&format!("AWS_ENDPOINT_URL_{service}")).filter(|url| !url.trim().is_empty())
}

pub(crate) fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

pub(crate) fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF)
}

pub(crate) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// What a connector is told of [`timeouts`].
pub(super) fn connecting() -> HttpConnectorSettings {
    HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "invoke", feature = "export-s3"))]
    #[test]
    fn an_empty_endpoint_is_none() {
        let found = |url: &str| own_endpoint("S3", |name| (name == "AWS_ENDPOINT_URL_S3").then(|| url.to_owned()));
        assert_eq!((found("http://127.0.0.1:9000").as_deref(), found(" ")), (Some("http://127.0.0.1:9000"), None));
    }
}
