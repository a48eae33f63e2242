//! How a request says who sends it.

use std::{
    error::Error,
    fmt,
    sync::Arc,
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

use super::EndpointError;

type BoxError = Box<dyn Error + Send + Sync>;
type Headers = Vec<(String, String)>;

/// Credentials are renewed this long before they expire.
const RENEWAL: Duration = Duration::from_secs(300);
/// Credentials that do not say when they expire are asked for again after this time.
const LIFETIME: Duration = Duration::from_secs(900);

/// Which of AWS's services answers for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AwsService {
    /// A domain of Amazon OpenSearch Service: `es`.
    Managed,
    /// A search collection of Amazon OpenSearch Serverless: `aoss`.
    Serverless,
}

impl AwsService {
    /// The service that a host belongs to, by its name.
    pub(super) fn of(server: &str) -> Option<Self> {
        let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
        let (_, domain) = host.split_once('.')?;
        let of = |service: &str| domain.ends_with(&format!(".{service}.amazonaws.com"));
        if of("es") { Some(Self::Managed) } else { of("aoss").then_some(Self::Serverless) }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Managed => "es",
            Self::Serverless => "aoss",
        }
    }
}

/// How a request says who sends it.
#[derive(Clone)]
pub(super) enum Auth {
    None,
    Basic(Arc<str>),
    Aws(Arc<Aws>),
}

/// What it takes to sign for AWS.
pub(super) struct Aws {
    service: AwsService,
    region: String,
    provider: SharedCredentialsProvider,
    /// The last credentials, and when they are to be renewed.
    kept: Mutex<Option<(Credentials, SystemTime)>>,
}

impl Auth {
    pub(super) fn basic(name: &str, password: &str) -> Self {
        let token = base64_simd::STANDARD.encode_to_string(format!("{name}:{password}"));
        Self::Basic(format!("Basic {token}").into())
    }

    pub(super) fn aws(config: &SdkConfig, service: AwsService) -> Result<Self, EndpointError> {
        let region = config.region().ok_or(EndpointError::NoRegion)?.to_string();
        let provider = config.credentials_provider().ok_or(EndpointError::NoCredentials)?;
        Ok(Self::Aws(Arc::new(Aws { service, region, provider, kept: Mutex::default() })))
    }

    /// The headers to add to a request.
    pub(super) async fn headers(&self, method: &str, url: &str, kind: &str, body: &[u8]) -> Result<Headers, BoxError> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Basic(token) => Ok(vec![("authorization".to_owned(), token.to_string())]),
            Self::Aws(aws) => {
                let now = SystemTime::now();
                let credentials = aws.credentials(now).await?;
                aws.signature(credentials, now, (method, url, kind, body))
            }
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Basic(_) => f.write_str("Basic"),
            Self::Aws(aws) => write!(f, "SigV4({}, {})", aws.service.name(), aws.region),
        }
    }
}

impl Aws {
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
        // Serverless wants the hash of the body in a header; managed domains do not mind it.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = credentials.into();
        let builder = v4::SigningParams::builder().identity(&identity).region(&self.region).name(self.service.name());
        let params = builder.time(now).settings(settings).build()?.into();
        let headers = [("content-type", kind)].into_iter();
        let request = SignableRequest::new(method, url, headers, SignableBody::Bytes(body))?;
        let (instructions, _) = sign(request, &params)?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn aws(service: AwsService) -> Aws {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
        let provider = SharedCredentialsProvider::new(credentials);
        Aws { service, region: "eu-central-1".into(), provider, kept: Mutex::default() }
    }

    async fn headers(service: AwsService, url: &str, body: &[u8]) -> std::collections::HashMap<String, String> {
        let aws = aws(service);
        let now = UNIX_EPOCH + Duration::from_secs(1_763_692_800);
        let credentials = aws.credentials(now).await.unwrap();
        aws.signature(credentials, now, ("POST", url, "application/x-ndjson", body)).unwrap().into_iter().collect()
    }

    /// The expected signatures were made from the rules of Signature Version 4 by another program.
    #[tokio::test]
    async fn requests_are_signed_by_the_rules_of_signature_version_4() {
        let managed = headers(AwsService::Managed, "https://search.example.com/_bulk", b"{}\n").await;
        let signed = "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date";
        let scope = "Credential=AKIDEXAMPLE/20251121/eu-central-1";
        let expected = format!("AWS4-HMAC-SHA256 {scope}/es/aws4_request, {signed}, Signature={MANAGED}");
        assert_eq!(managed["authorization"], expected);
        assert_eq!(managed["x-amz-date"], "20251121T024000Z");
        let serverless = headers(AwsService::Serverless, "https://search.example.com:9200/_bulk", b"{}\n").await;
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
        let aws = Aws { provider, ..aws(AwsService::Managed) };
        for (seconds, count) in [(0, "1"), (3299, "1"), (3300, "2"), (6000, "2")] {
            let credentials = aws.credentials(UNIX_EPOCH + Duration::from_secs(seconds)).await.unwrap();
            assert_eq!(credentials.access_key_id(), count, "after {seconds} s");
        }
    }

    #[test]
    fn endpoints_of_aws_are_known_by_their_names() {
        let cases = [
            ("search-pets-abc.eu-central-1.es.amazonaws.com", Some(AwsService::Managed)),
            ("vpc-pets-abc.eu-central-1.es.amazonaws.com:443", Some(AwsService::Managed)),
            ("abc123.eu-central-1.aoss.amazonaws.com", Some(AwsService::Serverless)),
            ("search.example.com", None),
            ("es.amazonaws.com.example.com:9200", None),
            ("localhost", None),
        ];
        for (server, service) in cases {
            assert_eq!(AwsService::of(server), service, "{server}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown =
            format!("{:?} {:?}", Auth::basic("name", "secret"), Auth::Aws(Arc::new(aws(AwsService::Serverless))));
        assert_eq!(shown, "Basic SigV4(aoss, eu-central-1)");
    }
}
