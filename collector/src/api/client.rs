//! The way to the API server: from inside a pod, or by a kubeconfig.
//!
//! Authentication, TLS and the renewal of the service account's token (the file is read again about once a
//! minute) are kube's business. Its own retries are off: they would hide throttling from [`super::health`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::USER_AGENT;
use http::uri::Scheme;
use http::{HeaderValue, Uri};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// How we name ourselves to the API server, for its audit log and its priority-and-fairness rules.
const AGENT: &str = concat!("podmeter/", env!("CARGO_PKG_VERSION"));
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Why there is no way to the API server. Nothing has been sent yet.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Started outside a pod without saying where the API server is.
    #[error(
        "not in a pod (KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is missing or odd): give a kubeconfig or run standalone"
    )]
    NotInCluster {
        /// What kube missed.
        source: InClusterError,
    },
    /// The pod has no service account's files: look for `automountServiceAccountToken: false`.
    #[error(
        "cannot read the service account's files in /var/run/secrets/kubernetes.io/serviceaccount"
    )]
    ServiceAccount {
        /// Which file and why.
        source: InClusterError,
    },
    /// The kubeconfig is absent, unreadable, or names no cluster that can be used.
    #[error("cannot use the kubeconfig {}", path.display())]
    Kubeconfig {
        /// As given.
        path: PathBuf,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// The address, the CA or the credentials cannot be used.
    #[error("cannot set up the connection to the API server")]
    Build {
        /// What kube refused.
        source: kube::Error,
    },
}

/// A client by the environment that Kubernetes gives every pod.
///
/// # Errors
/// When this is no pod, or one without a service account. Call it inside a tokio runtime.
pub fn in_cluster() -> Result<Client, Error> {
    let config = Config::incluster().map_err(|source| match source {
        InClusterError::ReadEnvironmentVariable(_)
        | InClusterError::ParseClusterPort(_)
        | InClusterError::ParseClusterUrl(_) => Error::NotInCluster { source },
        _ => Error::ServiceAccount { source },
    })?;
    build(config)
}

/// A client by the current context of a kubeconfig.
///
/// # Errors
/// When the file cannot be read or used.
pub async fn from_kubeconfig(path: &Path) -> Result<Client, Error> {
    let refused = |source| Error::Kubeconfig { path: path.to_owned(), source };
    let kubeconfig = Kubeconfig::read_from(path).map_err(refused)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(refused)?;
    build(config)
}

/// A client for an API server that asks for no credentials, such as `kubectl proxy` or the demo's.
///
/// # Errors
/// When no client can be made for this address.
pub fn at(url: Uri) -> Result<Client, Error> {
    build(Config::new(url))
}

fn build(mut config: Config) -> Result<Client, Error> {
    // Without TLS there is nothing to verify; else kube would look for the machine's root certificates, of
    // which a minimal image has none, and refuse to start.
    if config.cluster_url.scheme() == Some(&Scheme::HTTP) {
        config.root_cert.get_or_insert_default();
    }
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    Client::try_from(config).map_err(|source| Error::Build { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn kubeconfig_that_is_absent_is_named() {
        let error = from_kubeconfig(Path::new("/no/such/kubeconfig")).await.err().unwrap();
        assert_eq!(error.to_string(), "cannot use the kubeconfig /no/such/kubeconfig");
    }
}
