//! Which DynamoDB a command talks to.

use std::time::Duration;

use anabranch::aws;
use aws_config::Region;
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, timeout::TimeoutConfig},
};

/// What the embedded DynamoDB takes for credentials and a region: anything.
const EMBEDDED: &str = "embedded";
const LOCAL: &str = "local";

/// A page of 1 MB comes over a slow line, too, which a function does not have. A table beyond it is still asked again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub(crate) struct Connection {
    /// A DynamoDB other than that of AWS; credentials and region come from the environment
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The DynamoDB of `anabranch emulator` or `anabranch dev` on this machine, and no credentials; --local=8001 if not on port 8000
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "8000")]
    #[arg(conflicts_with = "endpoint")]
    local: Option<u16>,
}

impl Connection {
    /// A client, for the environment's region unless another one is given.
    pub(crate) async fn client(&self, region: Option<String>) -> Client {
        let config = match self.local {
            Some(port) => {
                let credentials = Credentials::new(EMBEDDED, EMBEDDED, None, None, "anabranch");
                let local = aws::defaults().region(Region::new(LOCAL)).credentials_provider(credentials);
                local.endpoint_url(format!("http://127.0.0.1:{port}")).load().await
            }
            None => region.map_or_else(aws::defaults, |name| aws::defaults().region(Region::new(name))).load().await,
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut config = aws_sdk_dynamodb::config::Builder::from(&config).timeout_config(timeouts);
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Client::from_conf(config.build())
    }
}
