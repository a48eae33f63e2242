//! Buckets for `object_store`, configured as every other client is.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use object_store::{
    ClientOptions, CredentialProvider,
    aws::{AmazonS3, AmazonS3Builder, AwsCredential},
};

use super::{config::endpoint_of, credentials::KeptCredentials};

/// Nothing comes for so long: the request is tried again. A whole file may take as long as its reader.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A bucket for [exports](crate::source::export) and [files](crate::sink::file), with the region, the credentials (profiles, single
/// sign-on and roles among them) and the endpoint of a configuration such as [`load`](super::load) makes.
///
/// `AWS_ENDPOINT_URL_S3` wins over the configuration's endpoint. A request ends when nothing has come for a minute.
///
/// # Errors
/// Settings of which the store makes no client.
pub fn bucket(config: &SdkConfig, name: &str) -> object_store::Result<AmazonS3> {
    let options = ClientOptions::new().with_timeout_disabled().with_connect_timeout(CONNECT_TIMEOUT);
    let mut builder =
        AmazonS3Builder::new().with_bucket_name(name).with_client_options(options.with_read_timeout(READ_TIMEOUT));
    if let Some(region) = config.region() {
        builder = builder.with_region(region.as_ref());
    }
    if let Some(endpoint) = endpoint_of(config, "S3") {
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    builder = match config.credentials_provider() {
        Some(provider) => builder.with_credentials(Arc::new(Credentials(KeptCredentials::new(provider)))),
        None => builder.with_skip_signature(true),
    };
    builder.build()
}

/// The SDK's credentials.
#[derive(Debug)]
struct Credentials(KeptCredentials);

impl Credentials {
    async fn get(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.get(SystemTime::now()).await;
        let found = found.map_err(|source| object_store::Error::Generic { store: "S3", source: Box::new(source) })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}

impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    fn get_credential<'this, 'call>(
        &'this self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'call>>
    where
        'this: 'call,
        Self: 'call,
    {
        Box::pin(self.get())
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::SharedCredentialsProvider;

    use super::*;
    use crate::aws::double::Numbered;

    async fn asked_twice(expiry: fn(u64) -> Option<SystemTime>) -> [String; 2] {
        let provider = SharedCredentialsProvider::new(Numbered::new(expiry));
        let credentials = Credentials(KeptCredentials::new(provider));
        let mut asked = Vec::new();
        for _ in 0..2 {
            asked.push(credentials.get_credential().await.unwrap().key_id.clone());
        }
        asked.try_into().unwrap()
    }

    #[tokio::test]
    async fn credentials_are_kept_until_they_are_about_to_expire() {
        assert_eq!(asked_twice(|_| Some(SystemTime::now() + Duration::from_secs(3_600))).await, ["1", "1"]);
        assert_eq!(asked_twice(|_| Some(SystemTime::now() + Duration::from_secs(200))).await, ["1", "2"]);
    }
}
