//! The HTTP client that all AWS clients of a process share.
//!
//! The SDK's own makes a connector for every client, and one more for every client to throw away, so that certificates
//! are loaded early: with the system's 140 that is most of what a cold start costs. Here the connector is made once, early
//! as well (the init phase has the whole processor), and then used by every client.

mod count;
mod roots;

use std::sync::{Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connector_metadata::ConnectorMetadata,
        http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use count::Counting;
use roots::Roots;
use tokio::runtime::{Handle, Id};

/// Kept connections belong to the runtime that drives them, so what is shared is shared within one runtime only.
static PRESENT: Mutex<Option<Present>> = Mutex::new(None);

struct Present {
    runtime: Id,
    client: SharedHttpClient,
    config: Option<SdkConfig>,
}

/// Looks at what the present runtime shares; none where there is no runtime.
fn present<R>(look: impl FnOnce(&mut Present) -> R) -> Option<R> {
    let runtime = Handle::try_current().ok()?.id();
    let mut present = PRESENT.lock().unwrap_or_else(PoisonError::into_inner);
    match present.as_mut().filter(|present| present.runtime == runtime) {
        Some(present) => Some(look(present)),
        None => {
            let client = SharedHttpClient::new(Shared::default());
            Some(look(present.insert(Present { runtime, client, config: None })))
        }
    }
}

/// The client of the present runtime; one of its own where there is none.
pub(super) fn shared() -> SharedHttpClient {
    present(|present| present.client.clone()).unwrap_or_else(|| SharedHttpClient::new(Shared::default()))
}

/// The configuration of the present runtime, if it has been loaded.
pub(super) fn config() -> Option<SdkConfig> {
    present(|present| present.config.clone()).flatten()
}

/// Keeps a configuration for others to use.
pub(super) fn keep(config: &SdkConfig) {
    present(|present| present.config = Some(config.clone()));
}

/// Connectors by their timeouts: one, unless somebody has changed [`defaults`](super::defaults).
#[derive(Debug, Default)]
struct Shared {
    connectors: Mutex<Vec<(HttpConnectorSettings, SharedHttpConnector)>>,
}

impl Shared {
    fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = connectors.iter().find(|(other, _)| same(other, settings)) {
            return connector.clone();
        }
        let connector = SharedHttpConnector::new(Counting(SharedHttpConnector::new(connector(settings))));
        connectors.push((settings.clone(), connector.clone()));
        connector
    }
}

impl HttpClient for Shared {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector(settings)
    }

    /// Called when a client is made: the connector of the timeouts that we set is made with it.
    fn validate_base_client_config(&self, _: &RuntimeComponentsBuilder, _: &ConfigBag) -> Result<(), BoxError> {
        Roots::from_env()?;
        self.connector(&super::config::connecting());
        Ok(())
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some("1.x".into())))
    }
}

fn same(left: &HttpConnectorSettings, right: &HttpConnectorSettings) -> bool {
    left.connect_timeout() == right.connect_timeout() && left.read_timeout() == right.read_timeout()
}

/// A connector as the clients of AWS have it: the proxy of the environment, and the certificates that are trusted.
pub(crate) fn connector(settings: &HttpConnectorSettings) -> Connector {
    let builder = Connector::builder().connector_settings(settings.clone()).proxy_config(ProxyConfig::from_env());
    builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(trusted()).build()
}

/// Whom the clients of AWS trust.
pub(crate) fn trusted() -> TlsContext {
    Roots::from_env().unwrap_or_default().context()
}
