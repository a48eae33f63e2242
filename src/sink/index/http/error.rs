//! What is wrong with the way to a server.

/// Why a server cannot be reached as it was described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is no URL, or none of a server that speaks HTTP.
    #[error("the endpoint is no URL of the form https://host:port/path")]
    NotAUrl,
    /// The URL has a name and a password in it, which would show in logs.
    #[error("the endpoint contains credentials; name them with `basic_auth` instead")]
    Credentials,
    /// The configuration says no region.
    #[error("the AWS configuration has no region; set AWS_REGION")]
    NoRegion,
    /// The configuration has no credentials.
    #[error("the AWS configuration has no credentials provider")]
    NoCredentials,
    /// What is to be trusted is no certificate.
    #[error("the certificate authority is no PEM certificate")]
    NoCertificate,
}

/// The host and port of a URL.
pub(super) fn check(url: &str) -> Result<&str, EndpointError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).ok_or(EndpointError::NotAUrl)?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Err(EndpointError::Credentials);
    }
    let mut request = aws_smithy_runtime_api::client::orchestrator::HttpRequest::empty();
    let legal =
        request.set_uri(url).is_ok() && !host.is_empty() && !host.starts_with(':') && !rest.contains(['?', '#']);
    if legal { Ok(host) } else { Err(EndpointError::NotAUrl) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_before_the_first_request() {
        assert_eq!(check("https://search.example.com:9200/path/"), Ok("search.example.com:9200"));
        for url in ["", "search:9200", "ftp://host", "http://", "http://:80", "http://a b", "https://h/?q=1"] {
            assert_eq!(check(url), Err(EndpointError::NotAUrl), "{url}");
        }
        assert_eq!(check("https://name:secret@host/"), Err(EndpointError::Credentials));
    }
}
