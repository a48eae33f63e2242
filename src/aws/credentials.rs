//! Credentials for what is signed without a client of the SDK.

use std::time::{Duration, SystemTime};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use tokio::sync::Mutex;

/// Credentials are renewed this long before they expire.
const RENEWAL: Duration = Duration::from_secs(300);
/// Credentials that do not say when they expire are asked for again after this time.
const LIFETIME: Duration = Duration::from_secs(900);

/// Keeps a provider's credentials while they are good: providers such as an assumed role ask a service each time.
#[derive(Debug)]
pub(super) struct KeptCredentials {
    provider: SharedCredentialsProvider,
    /// The last credentials, and when they are to be renewed. Locked while they are: whoever else comes wants the same.
    kept: Mutex<Option<(Credentials, SystemTime)>>,
}

impl KeptCredentials {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, kept: Mutex::default() }
    }

    pub(super) async fn get(&self, now: SystemTime) -> Result<Credentials, CredentialsError> {
        let mut kept = self.kept.lock().await;
        if let Some((credentials, renewal)) = &*kept
            && now < *renewal
        {
            return Ok(credentials.clone());
        }
        let credentials = self.provider.provide_credentials().await?;
        let renewal = credentials.expiry().map_or(now + LIFETIME, |expiry| expiry - RENEWAL);
        *kept = Some((credentials.clone(), renewal));
        Ok(credentials)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::aws::double::Numbered;

    async fn asked_at(expiry: fn(u64) -> Option<SystemTime>, times: impl IntoIterator<Item = (u64, &'static str)>) {
        let credentials = KeptCredentials::new(SharedCredentialsProvider::new(Numbered::new(expiry)));
        for (seconds, count) in times {
            let found = credentials.get(UNIX_EPOCH + Duration::from_secs(seconds)).await.unwrap();
            assert_eq!(found.access_key_id(), count, "after {seconds} s");
        }
    }

    #[tokio::test]
    async fn credentials_are_kept_until_shortly_before_they_expire() {
        let hourly = |number| Some(UNIX_EPOCH + Duration::from_secs(3600 * number));
        asked_at(hourly, [(0, "1"), (3299, "1"), (3300, "2"), (6000, "2")]).await;
    }

    #[tokio::test]
    async fn credentials_that_do_not_expire_are_asked_for_again_all_the_same() {
        asked_at(|_| None, [(0, "1"), (899, "1"), (900, "2")]).await;
    }
}
