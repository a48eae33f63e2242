//! Whom to trust when a server says that it is AWS.

use std::env;

use aws_smithy_http_client::tls::{TlsContext, TrustStore};

/// Amazon Trust Services' roots, which all of AWS's endpoints chain up to.
const AMAZON: &str = include_str!("amazon.pem");
/// The environment variable that chooses.
const VARIABLE: &str = "ANABRANCH_TLS_ROOTS";

/// The certificate authorities that the AWS clients trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Roots {
    /// The system's, whatever they are: for endpoints behind a proxy or an authority of one's own.
    #[default]
    System,
    /// Amazon's own five and no other: five certificates to read instead of 140.
    Amazon,
}

/// `ANABRANCH_TLS_ROOTS` names roots that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ANABRANCH_TLS_ROOTS is neither `system` nor `amazon`")]
pub(crate) struct UnknownRoots;

impl Roots {
    /// What the environment asks for.
    pub(super) fn from_env() -> Result<Self, UnknownRoots> {
        Self::named(env::var(VARIABLE).ok().as_deref())
    }

    fn named(name: Option<&str>) -> Result<Self, UnknownRoots> {
        match name {
            None | Some("" | "system") => Ok(Self::System),
            Some("amazon") => Ok(Self::Amazon),
            Some(_) => Err(UnknownRoots),
        }
    }

    pub(super) fn context(self) -> TlsContext {
        let store = match self {
            Self::System => TrustStore::default(),
            Self::Amazon => TrustStore::empty().with_pem_certificate(AMAZON),
        };
        TlsContext::builder().with_trust_store(store).build().expect("a trust store is all that a context needs")
    }
}

#[cfg(test)]
mod tests {
    use base64_simd::STANDARD;

    use super::*;

    #[test]
    fn roots_are_the_systems_unless_asked_otherwise() {
        assert_eq!(Roots::named(None), Ok(Roots::System));
        assert_eq!(Roots::named(Some("amazon")), Ok(Roots::Amazon));
        assert_eq!(Roots::named(Some("Amazon")), Err(UnknownRoots), "a misspelt setting is not passed over");
    }

    /// The certificates between the marks, as bytes.
    fn ours() -> Vec<Vec<u8>> {
        let bodies = AMAZON.split("-----BEGIN CERTIFICATE-----").skip(1);
        let base64 = bodies.map(|body| body.split("-----END").next().unwrap_or_default().replace('\n', ""));
        base64.map(|text| STANDARD.decode_to_vec(text).expect("base64")).collect()
    }

    #[test]
    fn amazons_roots_are_those_that_mozilla_lists() {
        let listed = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        let names = |der: &[u8], name: &str| der.windows(name.len()).any(|window| window == name.as_bytes());
        let amazon = |der: &&[u8]| names(der, "Amazon Root CA ") || names(der, "Starfield Services Root");
        let mut theirs: Vec<_> = listed.iter().map(AsRef::as_ref).filter(amazon).map(<[u8]>::to_vec).collect();
        let mut ours = ours();
        theirs.sort();
        ours.sort();
        assert_eq!(ours.len(), 5);
        assert!(ours == theirs, "src/aws/http/amazon.pem is not what webpki-root-certs has of Amazon");
    }
}
