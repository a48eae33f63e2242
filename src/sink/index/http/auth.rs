//! How a request says who sends it.

use std::{error::Error, fmt, sync::Arc};

use aws_config::SdkConfig;

use super::EndpointError;
use crate::aws::{Lacking, Signer};

type BoxError = Box<dyn Error + Send + Sync>;
type Headers = Vec<(String, String)>;

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
    Aws(Arc<Signer>),
}

impl Auth {
    pub(super) fn basic(name: &str, password: &str) -> Self {
        let token = base64_simd::STANDARD.encode_to_string(format!("{name}:{password}"));
        Self::Basic(format!("Basic {token}").into())
    }

    pub(super) fn aws(config: &SdkConfig, service: AwsService) -> Result<Self, EndpointError> {
        let signer = Signer::new(config, service.name()).map_err(|lacking| match lacking {
            Lacking::Region => EndpointError::NoRegion,
            Lacking::Credentials => EndpointError::NoCredentials,
        })?;
        Ok(Self::Aws(Arc::new(signer)))
    }

    /// The headers to add to a request.
    pub(super) async fn headers(&self, method: &str, url: &str, kind: &str, body: &[u8]) -> Result<Headers, BoxError> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Basic(token) => Ok(vec![("authorization".to_owned(), token.to_string())]),
            Self::Aws(signer) => signer.headers(method, url, kind, body).await,
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Basic(_) => f.write_str("Basic"),
            Self::Aws(signer) => signer.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(format!("{:?}", Auth::basic("name", "secret")), "Basic");
    }
}
