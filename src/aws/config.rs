//! The one place where AWS clients get their behaviour, retries and timeouts.

use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;

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

/// [`defaults`], loaded from the environment: once for a runtime, and then shared, credentials included.
pub async fn load() -> SdkConfig {
    if let Some(config) = super::http::config() {
        return config;
    }
    let config = defaults().load().await;
    super::http::keep(&config);
    config
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
