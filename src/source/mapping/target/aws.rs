//! A function on AWS.

use std::{sync::Arc, time::Duration};

use aws_config::SdkConfig;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};

use super::call::{self, Invoked};
use crate::{
    aws::{self, Lacking, Signer},
    source::mapping::{Answer, BoxError, InvokeError, Target},
};

const KIND: &str = "application/json";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A function may take 15 minutes.
const PATIENCE: Duration = Duration::from_secs(15 * 60 + 30);

/// A function on AWS, invoked synchronously over Lambda's API with the region and the credentials of a configuration.
///
/// That the function raised an error, ran out of time or crashed is said by a header, and counts as an attempt. Every other
/// refusal counts as none (ESM-31): no permission, no such function, throttled, a service that is down. They are repeated until the
/// records expire.
///
/// The role needs `lambda:InvokeFunction`.
#[derive(Clone)]
pub struct AwsFunction {
    url: Arc<str>,
    signer: Arc<Signer>,
    connector: Arc<Connector>,
}

impl AwsFunction {
    /// The function of a name or an ARN, with a version or an alias (`name:live`) or without.
    ///
    /// The endpoint is that of the configuration's region, unless it names one of its own (`AWS_ENDPOINT_URL`);
    /// `AWS_ENDPOINT_URL_LAMBDA` wins over both.
    ///
    /// # Errors
    /// The configuration has no region or no credentials.
    pub fn new(config: &SdkConfig, function: &str) -> Result<Self, InvokeError> {
        let signer = Signer::new(config, "lambda").map_err(|lacking| match lacking {
            Lacking::Region => InvokeError::NoRegion,
            Lacking::Credentials => InvokeError::NoCredentials,
        })?;
        let region = config.region().map(AsRef::as_ref).unwrap_or_default();
        let endpoint = aws::endpoint_of(config, "LAMBDA").unwrap_or_else(|| endpoint(region));
        let url = format!("{}{}", endpoint.trim_end_matches('/'), call::path(&escaped(function)));
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(PATIENCE).build();
        Ok(Self { url: url.into(), signer: Arc::new(signer), connector: Arc::new(aws::connector(&settings)) })
    }

    /// Where it is invoked.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn call(&self, event: Bytes) -> Result<Answer, BoxError> {
        let headers = self.signer.headers("POST", &self.url, KIND, &event).await?;
        let invoked = call::post(&self.connector, &self.url, event, headers).await?;
        Ok(invoked.answer(answer))
    }
}

/// What Lambda's answer means.
fn answer(invoked: &Invoked) -> Answer {
    match (invoked.status, &invoked.error_type) {
        (200..300, _) if invoked.raised => Answer::failed(call::reason(&invoked.body)),
        (200..300, _) => Answer::returned(invoked.body.clone()),
        (status, None) => Answer::not_run(format!("HTTP status {status}")),
        (status, Some(kind)) => Answer::not_run(format!("{kind} (HTTP status {status})")),
    }
}

fn endpoint(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://lambda.{region}.{domain}")
}

/// The colons of an ARN, as the path of a request has them.
fn escaped(function: &str) -> String {
    function.replace(':', "%3A")
}

impl Target for AwsFunction {
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Answer> {
        async move { self.call(event).await.unwrap_or_else(|error| Answer::not_run(error.to_string())) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};

    use super::*;
    use crate::source::mapping::Answered;

    fn config(region: Option<&'static str>) -> SdkConfig {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let builder = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(region.map(Region::new));
        builder.credentials_provider(SharedCredentialsProvider::new(credentials)).build()
    }

    #[test]
    fn names_and_regions_make_the_address() {
        let url = |region, function| AwsFunction::new(&config(Some(region)), function).unwrap().url().to_owned();
        let path = |name: &str| format!("/2015-03-31/functions/{name}/invocations");
        let at = |region: &str, name| format!("https://lambda.{region}{}", path(name));
        assert_eq!(url("eu-west-1", "f"), at("eu-west-1.amazonaws.com", "f"));
        assert_eq!(url("cn-north-1", "f:live"), at("cn-north-1.amazonaws.com.cn", "f%3Alive"));
        assert!(matches!(AwsFunction::new(&config(None), "f").err(), Some(InvokeError::NoRegion)));
        let nobody = SdkConfig::builder().region(Region::new("eu-west-1")).build();
        assert!(matches!(AwsFunction::new(&nobody, "f").err(), Some(InvokeError::NoCredentials)));
    }

    #[test]
    fn only_the_function_s_own_errors_are_attempts() {
        let of = |status, raised, error_type: Option<&str>, body: &'static str| {
            let error_type = error_type.map(str::to_owned);
            answer(&Invoked { status, raised, error_type, body: body.into(), request_id: None, version: None }).result
        };
        let not_run = |answered| matches!(answered, Answered::NotRun { .. });
        assert_eq!(of(200, false, None, "{}"), Answered::Returned("{}".into()));
        let error = r#"{"errorMessage":"no","errorType":"Error"}"#;
        assert_eq!(of(200, true, None, error), Answered::Failed { reason: "no".to_owned() });
        let told = of(200, false, None, error);
        assert_eq!(told, Answered::Returned(error.into()), "an answer that looks like an error is an answer");
        for (status, kind) in
            [(403, "AccessDeniedException"), (404, "ResourceNotFoundException"), (500, "ServiceException")]
        {
            assert!(not_run(of(status, false, Some(kind), "")), "{kind}");
        }
        assert!(not_run(of(429, false, Some("TooManyRequestsException"), "")) && not_run(of(502, false, None, "")));
    }
}
