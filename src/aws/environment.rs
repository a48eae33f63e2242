//! Configuration as a function has it: all of it in its environment.
//!
//! The SDK's loader looks into profiles as well, and asks instances and clusters who they are. In Lambda there is none of that, and
//! what asks for it would be a tenth of a function.

use std::{collections::HashMap, env, fmt, str::FromStr};

use aws_config::{AppName, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider};
#[cfg(feature = "containers")]
use aws_config::{ecs::EcsCredentialsProvider, provider_config::ProviderConfig};
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future::ProvideCredentials as Provided,
};
use aws_types::{
    origin::Origin,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};

use super::{config, http};

/// What all of these variables begin with.
const PREFIX: &str = "AWS_";
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// The variables that are for the SDK.
#[derive(Clone)]
pub(super) struct Environment(HashMap<String, String>);

impl Environment {
    /// That of the process.
    pub(super) fn of_process() -> Self {
        let unicode =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::of(unicode)
    }

    fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let says = |(name, value): &(String, String)| name.starts_with(PREFIX) && !value.trim().is_empty();
        Self(variables.into_iter().filter(says).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What cannot be read counts as not set, as in every AWS SDK.
    fn read<T: FromStr>(&self, name: &'static str) -> Option<T> {
        let value = self.get(name)?.trim().to_ascii_lowercase();
        value.parse().inspect_err(|_| tracing::warn!(name, "an environment variable that cannot be read")).ok()
    }

    fn endpoint(&self, name: &str) -> Option<&str> {
        let ignored = self.read("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").unwrap_or(false);
        self.get(name).filter(|_| !ignored)
    }

    /// The configuration that it makes, with the toolkit's behaviour.
    pub(super) fn config(self) -> SdkConfig {
        let region = self.get("AWS_REGION").or(self.get("AWS_DEFAULT_REGION"));
        let mut builder = SdkConfig::builder()
            .behavior_version(config::behavior())
            .region(region.map(|name| Region::new(name.to_owned())))
            .retry_config(config::retries())
            .timeout_config(config::timeouts())
            .http_client(http::shared())
            .credentials_provider(self.credentials());
        // Or the SDK would take the number of attempts for nobody's wish.
        builder.insert_origin("retry_config", Origin::shared_config());
        builder.set_use_fips(self.read("AWS_USE_FIPS_ENDPOINT"));
        builder.set_use_dual_stack(self.read("AWS_USE_DUALSTACK_ENDPOINT"));
        builder.set_account_id_endpoint_mode(self.read("AWS_ACCOUNT_ID_ENDPOINT_MODE"));
        builder.set_app_name(self.get("AWS_SDK_UA_APP_ID").and_then(|name| AppName::new(name.to_owned()).ok()));
        builder.set_endpoint_url(self.endpoint(ENDPOINT).map(str::to_owned));
        builder.service_config(self).build()
    }

    /// Those that stand there; or where to ask for them, as containers are told.
    fn credentials(&self) -> SharedCredentialsProvider {
        let has = |name| self.get(name).is_some();
        if has("AWS_ACCESS_KEY_ID") && has("AWS_SECRET_ACCESS_KEY") {
            SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())
        } else if has("AWS_CONTAINER_CREDENTIALS_FULL_URI") || has("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            of_container()
        } else {
            SharedCredentialsProvider::new(NoCredentials(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; \
                 for those of a profile: eval \"$(aws configure export-credentials --format env)\"",
            ))
        }
    }
}

#[cfg(feature = "containers")]
fn of_container() -> SharedCredentialsProvider {
    let client = ProviderConfig::without_region().with_http_client(http::shared());
    SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(&client).build())
}

#[cfg(not(feature = "containers"))]
fn of_container() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(NoCredentials(
        "AWS_ACCESS_KEY_ID is not set, and for those of a container: build with the feature `containers`",
    ))
}

impl fmt::Debug for Environment {
    /// Some of it is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What single services are told, such as `AWS_ENDPOINT_URL_DYNAMODB`.
impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = format!("{}_{}", key.env(), key.service_id().replace([' ', '-'], "_").to_ascii_uppercase());
        let find = |name: &str| if key.env() == ENDPOINT { self.endpoint(name) } else { self.get(name) };
        find(&service).or_else(|| find(key.env())).map(str::to_owned)
    }
}

/// There is nothing to sign requests with, and this is what to do about it.
#[derive(Debug)]
struct NoCredentials(&'static str);

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::ready(Err(CredentialsError::not_loaded(self.0)))
    }
}

#[cfg(all(test, feature = "dynamodb"))]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::{Client, config::Builder};

    use super::*;
    use crate::aws::double;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "hidden")];

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::of(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    /// Where a client asks in such an environment.
    async fn asked(variables: &[(&str, &str)]) -> String {
        let asked = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&asked);
        let answers = double::client(std::time::Duration::ZERO, move |request| {
            *seen.lock().expect("no panic under the lock") = request.uri().to_owned();
            (200, "{}".to_owned())
        });
        let credentials = aws_credential_types::Credentials::new("AKID", "hidden", None, None, "test");
        let config =
            Builder::from(&environment(variables).config()).http_client(answers).credentials_provider(credentials);
        Client::from_conf(config.build()).list_tables().send().await.expect("an answer");
        asked.lock().expect("no panic under the lock").clone()
    }

    #[tokio::test]
    async fn the_environment_says_where_to_ask() {
        let region = ("AWS_REGION", "eu-north-1");
        assert_eq!(asked(&[region]).await, "https://dynamodb.eu-north-1.amazonaws.com/");
        assert!(asked(&[("AWS_DEFAULT_REGION", "eu-north-1")]).await.contains("eu-north-1"));
        assert!(asked(&[region, ("AWS_USE_FIPS_ENDPOINT", "TRUE")]).await.contains("dynamodb-fips"));
        assert!(asked(&[region, ("AWS_USE_DUALSTACK_ENDPOINT", "true")]).await.ends_with("api.aws/"));
        let (all, own) = (("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_DYNAMODB", "http://own"));
        assert_eq!(asked(&[region, all]).await, "http://all/");
        assert_eq!(asked(&[region, own, all]).await, "http://own/");
        assert_eq!(asked(&[region, own, ("AWS_ENDPOINT_URL", " ")]).await, "http://own/");
        let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        assert!(asked(&[region, own, all, ignored]).await.contains("eu-north-1"));
        assert!(asked(&[region, ("AWS_USE_FIPS_ENDPOINT", "perhaps")]).await.contains("dynamodb.eu-north-1"));
    }

    #[tokio::test]
    async fn the_behaviour_is_that_of_other_configurations() {
        let ours = environment(&[("AWS_REGION", "eu-north-1")]).config();
        let other = crate::aws::defaults().region(Region::new("eu-north-1")).test_credentials().load().await;
        assert_eq!(ours.timeout_config(), other.timeout_config());
        let attempts = |config: &SdkConfig| Builder::from(config).build().retry_config().map(|it| it.max_attempts());
        assert_eq!((attempts(&ours), attempts(&ours)), (Some(8), attempts(&other)));
    }

    #[tokio::test]
    async fn credentials_are_those_of_the_environment_or_there_are_none() {
        let kind = |variables: &[(&str, &str)]| format!("{:?}", environment(variables).credentials());
        assert!(kind(&KEYS).contains("EnvironmentVariable"), "{}", kind(&KEYS));
        let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/credentials");
        let asks = if cfg!(feature = "containers") { "Ecs" } else { "`containers`" };
        assert!(kind(&[container]).contains(asks) && kind(&[KEYS[0], container]).contains(asks));
        assert!(kind(&[KEYS[0], KEYS[1], container]).contains("EnvironmentVariable"));
        for lacking in [&[KEYS[0]][..], &[KEYS[1]], &[KEYS[0], ("AWS_SECRET_ACCESS_KEY", " ")], &[]] {
            let error =
                environment(lacking).credentials().provide_credentials().await.expect_err("nothing to sign with");
            let text = aws_smithy_types::error::display::DisplayErrorContext(&error).to_string();
            assert!(text.contains("export-credentials"), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", environment(&KEYS)).contains("hidden"));
    }
}
