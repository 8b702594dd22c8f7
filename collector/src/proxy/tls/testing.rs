//! Authorities, certificates and clients for tests.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::DuplexStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Acceptor, Session};
use crate::proxy::control::{Authorities, Certificate};
use crate::proxy::refusal::Refusal;
use crate::proxy::route::{Origin, Source};

pub(super) type ServerEnd = tokio_rustls::server::TlsStream<DuplexStream>;
pub(super) type ClientEnd = tokio_rustls::client::TlsStream<DuplexStream>;

/// An authority.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM text.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) chain: String,
    pub(super) key: String,
}

/// A revocation list to be.
pub(super) struct List<'a> {
    pub(super) serials: &'a [u64],
    pub(super) issued: i32,
    pub(super) ends: i32,
}

impl Ca {
    pub(super) fn new(name: &str) -> Self {
        Self(
            CertifiedIssuer::self_signed(Self::params(name), KeyPair::generate().unwrap()).unwrap(),
        )
    }

    /// An authority between this one and the certificates that it signs.
    pub(super) fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(Self::params(name), key, &self.0).unwrap())
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these hosts.
    pub(super) fn host(&self, hosts: &[&str]) -> Pair {
        self.until(hosts, 4000)
    }

    /// One that ends with the beginning of this year.
    pub(super) fn until(&self, hosts: &[&str], year: i32) -> Pair {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        self.sign(&params)
    }

    /// A client's certificate.
    pub(super) fn client(&self, name: &str, serial: u64) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Shop");
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { chain: certificate.pem(), key: key.serialize_pem() }
    }

    /// A revocation list of these serial numbers that is good for long.
    pub(super) fn revoking(&self, serials: &[u64]) -> String {
        self.list(&List { serials, issued: 2020, ends: 4000 })
    }

    pub(super) fn list(&self, list: &List<'_>) -> String {
        self.list_of(list.serials.iter().map(|serial| SerialNumber::from(*serial)).collect(), list)
    }

    /// A revocation list of another authority's own certificate.
    pub(super) fn revoking_certificate(&self, other: &Self) -> String {
        let (_, parsed) = X509Certificate::from_der(other.0.der()).unwrap();
        let serial = SerialNumber::from_slice(parsed.raw_serial());
        self.list_of(vec![serial], &List { serials: &[], issued: 2020, ends: 4000 })
    }

    fn list_of(&self, serials: Vec<SerialNumber>, list: &List<'_>) -> String {
        let revoked = |serial_number| RevokedCertParams {
            serial_number,
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(list.issued, 1, 1),
            next_update: date_time_ymd(list.ends, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.into_iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }

    /// A client that knows this authority and shows this certificate.
    pub(super) fn connector(
        &self,
        client: Option<&Pair>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(super::provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match client {
            Some(pair) => builder.with_client_auth_cert(pair.chain(), pair.key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![super::H2.to_vec(), super::HTTP1.to_vec()];
        Arc::new(config).into()
    }
}

impl Pair {
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.chain.as_bytes()).map(Result::unwrap).collect()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    /// As a source tells it.
    pub(super) fn told(&self, source: Source, name: &str, hosts: &[&str]) -> Certificate {
        Certificate {
            origin: origin(source, name),
            chain: self.chain.as_bytes().into(),
            key: self.key.as_bytes().into(),
            hosts: hosts.iter().map(|host| Arc::from(*host)).collect(),
        }
    }
}

pub(super) fn origin(source: Source, name: &str) -> Origin {
    Origin { source, namespace: "".into(), name: name.into() }
}

pub(super) fn authorities(ca: &str, crl: Option<&str>) -> Authorities {
    Authorities {
        origin: origin(Source::File, "ca.crt"),
        ca: ca.as_bytes().into(),
        crl: crl.map(|crl| crl.as_bytes().into()),
    }
}

/// A handshake for `shop.example` over a connection in memory: what each end made of it.
pub(super) async fn shake(
    acceptor: &Acceptor,
    connector: &TlsConnector,
) -> (Result<(ServerEnd, Session), Refusal>, std::io::Result<ClientEnd>) {
    shake_for(acceptor, connector, "shop.example").await
}

pub(super) async fn shake_for(
    acceptor: &Acceptor,
    connector: &TlsConnector,
    host: &str,
) -> (Result<(ServerEnd, Session), Refusal>, std::io::Result<ClientEnd>) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let name = ServerName::try_from(host.to_owned()).unwrap();
    tokio::join!(acceptor.accept(near), connector.connect(name, far))
}
