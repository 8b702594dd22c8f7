use std::io::Write;

use rustls::pki_types::pem::PemObject;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::super::testing::{Ca, Pair};
use super::*;
use crate::proxy::service::Port;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn service(namespace: &str) -> ServiceKey {
    ServiceKey { namespace: namespace.into(), name: "api".into(), port: Port::Number(443) }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Whether a handshake with a pod that has this certificate ends well; with the protocol it agreed on.
async fn shake(backend: &Backend, pod: &Pair, service: &ServiceKey) -> Result<Vec<u8>, io::Error> {
    let versions: &[&SupportedProtocolVersion] =
        &[&rustls::version::TLS12, &rustls::version::TLS13];
    let mut config = ServerConfig::builder_with_provider(super::super::provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(pod.chain(), pod.key())
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let (near, far) = tokio::io::duplex(64 << 10);
    let connector = TlsConnector::from(Arc::clone(backend.config(Protocol::H2c)));
    let name = Backend::server_name(service, ADDRESS);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (client, _server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    client.map(|stream| stream.get_ref().1.alpn_protocol().unwrap().to_vec())
}

#[tokio::test]
async fn without_authorities_any_certificate_will_do() {
    let backend = Backend::new(None).unwrap();
    let pod = Ca::new("any").until(&["whatever"], 2020);
    assert_eq!(shake(&backend, &pod, &service("shop")).await.unwrap(), b"h2");
    assert_eq!(shake(&backend, &pod, &service("")).await.unwrap(), b"h2");
}

#[tokio::test]
async fn with_authorities_chain_and_name_must_be_good() {
    let ca = Ca::new("ca");
    let backend = Backend::new(Some(file(&ca.pem()).path())).unwrap();
    let named = ca.host(&["api.shop.svc"]);
    let unnamed = ca.host(&["other.shop.svc"]);
    let expired = ca.until(&["api.shop.svc"], 2020);
    let foreign = Ca::new("ca").host(&["api.shop.svc"]);
    assert!(shake(&backend, &named, &service("shop")).await.is_ok());
    for pod in [&unnamed, &expired, &foreign] {
        assert!(shake(&backend, pod, &service("shop")).await.is_err());
    }
    // A service of the file has no name of its own: the chain alone counts.
    assert!(shake(&backend, &unnamed, &service("")).await.is_ok());
    assert!(shake(&backend, &foreign, &service("")).await.is_err());
}

#[test]
fn bad_file_is_told_by_its_path() {
    let absent = Backend::new(Some(Path::new("/nonexistent/ca.crt"))).unwrap_err();
    assert_eq!(absent.to_string(), "cannot read the authorities of pods /nonexistent/ca.crt");
    for text in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let unusable = Backend::new(Some(file(text).path())).unwrap_err();
        assert!(matches!(unusable, BackendError::Unusable { .. }), "{unusable}");
    }
    let key = Ca::new("ca").host(&["a"]).key;
    assert!(rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).is_ok());
    let misplaced = Backend::new(Some(file(&key).path())).unwrap_err();
    assert!(!format!("{misplaced:?}").contains(key.lines().nth(1).unwrap()));
}
