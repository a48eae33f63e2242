//! Signature Version 4, for the services of AWS that are asked without a client of the SDK.

use std::{error::Error, fmt, time::SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};

use super::credentials::KeptCredentials;

type BoxError = Box<dyn Error + Send + Sync>;
type Headers = Vec<(String, String)>;

/// What it takes to sign for a service of AWS.
pub(crate) struct Signer {
    service: &'static str,
    region: String,
    credentials: KeptCredentials,
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
        Ok(Self { service, region, credentials: KeptCredentials::new(provider) })
    }

    /// The headers to add to a request with this content type.
    pub(crate) async fn headers(&self, method: &str, url: &str, kind: &str, body: &[u8]) -> Result<Headers, BoxError> {
        let now = SystemTime::now();
        let credentials = self.credentials.get(now).await?;
        self.signature(credentials, now, (method, url, kind, body))
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
    use std::time::{Duration, UNIX_EPOCH};

    use aws_credential_types::provider::SharedCredentialsProvider;

    use super::*;

    fn signer(service: &'static str) -> Signer {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
        let provider = SharedCredentialsProvider::new(credentials);
        Signer { service, region: "eu-central-1".into(), credentials: KeptCredentials::new(provider) }
    }

    async fn headers(service: &'static str, url: &str, body: &[u8]) -> std::collections::HashMap<String, String> {
        let signer = signer(service);
        let now = UNIX_EPOCH + Duration::from_secs(1_763_692_800);
        let credentials = signer.credentials.get(now).await.unwrap();
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

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", signer("aoss")), "SigV4(aoss, eu-central-1)");
    }
}
