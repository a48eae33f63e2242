//! Signature Version 4, for the services of AWS that are asked without a client of the SDK.

use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use tokio::sync::Mutex;

type BoxError = Box<dyn Error + Send + Sync>;
type Headers = Vec<(String, String)>;

/// Credentials are renewed this long before they expire.
const RENEWAL: Duration = Duration::from_secs(300);
/// Credentials that do not say when they expire are asked for again after this time.
const LIFETIME: Duration = Duration::from_secs(900);

/// What it takes to sign for a service of AWS.
pub(crate) struct Signer {
    service: &'static str,
    region: String,
    provider: SharedCredentialsProvider,
    /// The last credentials, and when they are to be renewed.
    kept: Mutex<Option<(Credentials, SystemTime)>>,
}

/// What a configuration lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lacking {
    Region,
    Credentials,
}

impl Signer {
    /// With the region and the credentials of a configuration.
    pub(crate) fn new(config: &SdkConfig, service: &'static str) -> Result<Self, Lacking> {
        let region = config.region().ok_or(Lacking::Region)?.to_string();
        let provider = config.credentials_provider().ok_or(Lacking::Credentials)?;
        Ok(Self { service, region, provider, kept: Mutex::default() })
    }

    /// The headers to add to a request with this content type.
    pub(crate) async fn headers(&self, method: &str, url: &str, kind: &str, body: &[u8]) -> Result<Headers, BoxError> {
        let now = SystemTime::now();
        let credentials = self.credentials(now).await?;
        self.signature(credentials, now, (method, url, kind, body))
    }

    /// The kept credentials while they are good; providers such as an assumed role ask a service each time.
    async fn credentials(&self, now: SystemTime) -> Result<Credentials, BoxError> {
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

    fn signature(
        &self,
        credentials: Credentials,
        now: SystemTime,
        (method, url, kind, body): (&str, &str, &str, &[u8]),
    ) -> Result<Headers, BoxError> {
        let mut settings = SigningSettings::default();
        // OpenSearch Serverless wants the hash of the body in a header; the others do not mind it.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = credentials.into();
        let builder = v4::SigningParams::builder().identity(&identity).region(&self.region).name(self.service);
        let params = builder.time(now).settings(settings).build()?.into();
        let headers = [("content-type", kind)].into_iter();
        let request = SignableRequest::new(method, url, headers, SignableBody::Bytes(body))?;
        let (instructions, _) = sign(request, &params)?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl fmt::Debug for Signer {
    /// Shows for whom, not with what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigV4({}, {})", self.service, self.region)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn signer(service: &'static str) -> Signer {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
        let provider = SharedCredentialsProvider::new(credentials);
        Signer { service, region: "eu-central-1".into(), provider, kept: Mutex::default() }
    }

    async fn headers(service: &'static str, url: &str, body: &[u8]) -> std::collections::HashMap<String, String> {
        let signer = signer(service);
        let now = UNIX_EPOCH + Duration::from_secs(1_763_692_800);
        let credentials = signer.credentials(now).await.unwrap();
        signer.signature(credentials, now, ("POST", url, "application/x-ndjson", body)).unwrap().into_iter().collect()
    }

    /// The expected signatures were made from the rules of Signature Version 4 by another program.
    #[tokio::test]
    async fn requests_are_signed_by_the_rules_of_signature_version_4() {
        let managed = headers("es", "https://search.example.com/_bulk", b"{}\n").await;
        let signed = "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date";
        let scope = "Credential=AKIDEXAMPLE/20251121/eu-central-1";
        let expected = format!("AWS4-HMAC-SHA256 {scope}/es/aws4_request, {signed}, Signature={MANAGED}");
        assert_eq!(managed["authorization"], expected);
        assert_eq!(managed["x-amz-date"], "20251121T024000Z");
        let serverless = headers("aoss", "https://search.example.com:9200/_bulk", b"{}\n").await;
        let expected = format!("AWS4-HMAC-SHA256 {scope}/aoss/aws4_request, {signed}, Signature={SERVERLESS}");
        assert_eq!(serverless["authorization"], expected);
        assert_eq!(serverless["x-amz-content-sha256"], BODY);
    }

    const BODY: &str = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356";
    const MANAGED: &str = "7bafb8db582f9e601a0e83db550726f758c955c65aed659a8c03573e66b0a891";
    const SERVERLESS: &str = "8c78dc5f6cb0bbfc3ee2b3b91d287e48fcfced353793b3206fbc3a15e142a286";

    #[tokio::test]
    async fn credentials_are_kept_until_shortly_before_they_expire() {
        #[derive(Debug)]
        struct Counting(std::sync::atomic::AtomicU64);
        impl ProvideCredentials for Counting {
            fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                let expiry = UNIX_EPOCH + Duration::from_secs(3600 * count);
                let credentials = Credentials::new(count.to_string(), "secret", None, Some(expiry), "test");
                aws_credential_types::provider::future::ProvideCredentials::ready(Ok(credentials))
            }
        }
        let provider = SharedCredentialsProvider::new(Counting(0.into()));
        let signer = Signer { provider, ..signer("es") };
        for (seconds, count) in [(0, "1"), (3299, "1"), (3300, "2"), (6000, "2")] {
            let credentials = signer.credentials(UNIX_EPOCH + Duration::from_secs(seconds)).await.unwrap();
            assert_eq!(credentials.access_key_id(), count, "after {seconds} s");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", signer("aoss")), "SigV4(aoss, eu-central-1)");
    }
}
