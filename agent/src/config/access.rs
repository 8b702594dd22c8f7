//! `tls` and `access`: how Podmeter's own endpoints are served, and to whom.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use collector::proxy::settings::{AuthoritiesFrom, CertificateFiles, ClientCertificates, Tls};

use super::section::Section;
use super::{Faults, Host, Source};

/// Prometheus set-ups scrape at least once a minute, so that an answer is hardly older than the outage.
const GRACE: Duration = Duration::from_secs(600);
const GRACES: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);

/// Who may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Whoever reaches the address.
    #[default]
    Open,
    /// Whose bearer token the API server knows and gives the right, and who shows a good client certificate.
    Kubernetes,
    /// Who shows a good client certificate.
    Certificate,
}

/// `access`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who may read.
    pub mode: Mode,
    /// How long an answer of the API server holds while it is away.
    pub outage_grace: Duration,
    /// Where the right to Podmeter's metrics is looked for; `None` where only the client knows.
    pub namespace: Option<Arc<str>>,
}

impl Default for Access {
    fn default() -> Self {
        Self { mode: Mode::Open, outage_grace: GRACE, namespace: None }
    }
}

/// `tls` as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct TlsFile {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub client_ca: Option<PathBuf>,
    pub client_crl: Option<PathBuf>,
}

/// `access` as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct File {
    pub mode: Option<Mode>,
    pub outage_grace: Option<Duration>,
}

pub(super) fn read_tls(tls: &mut Section<'_>) -> TlsFile {
    let mut path = |key| tls.text(key).map(PathBuf::from);
    TlsFile {
        certificate: path("certificate"),
        key: path("key"),
        client_ca: path("client_ca"),
        client_crl: path("client_crl"),
    }
}

pub(super) fn read(access: &mut Section<'_>) -> File {
    File {
        mode: access.parsed("mode", "open, kubernetes or certificate", |text| match text {
            "open" => Some(Mode::Open),
            "kubernetes" => Some(Mode::Kubernetes),
            "certificate" => Some(Mode::Certificate),
            _ => None,
        }),
        outage_grace: access.duration_in("outage_grace", GRACES),
    }
}

impl TlsFile {
    /// What is meant; half of it is a fault, since the other half would be missed only when somebody comes.
    pub(super) fn checked(self, faults: &mut Faults) -> Option<Tls> {
        let Self { certificate, key, client_ca, client_crl } = self;
        if client_crl.is_some() && client_ca.is_none() {
            faults.add("tls.client_crl", "goes with tls.client_ca; write that too");
        }
        let (certificate, key) = match (certificate, key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => {
                faults.add("tls.key", "not set; write the path of the certificate's key");
                return None;
            }
            (None, Some(_)) => {
                faults.add("tls.certificate", "not set; write the path of the chain");
                return None;
            }
            (None, None) if client_ca.is_some() => {
                faults
                    .add("tls.client_ca", "goes with tls.certificate and tls.key; write those too");
                return None;
            }
            (None, None) => return None,
        };
        let clients = client_ca.map(|ca| ClientCertificates {
            authorities: AuthoritiesFrom::Files { ca, crl: client_crl },
            // The kubelet's probes show none. Who must, is asked at each request.
            required: false,
        });
        let certificates = vec![CertificateFiles { certificate, key }];
        Some(Tls { certificates, clients, backend_ca: None })
    }
}

impl File {
    /// What is meant, with `tls` and `source` as they are.
    pub(super) fn checked(
        self,
        (tls, source): (Option<&Tls>, &Source),
        host: &Host,
        faults: &mut Faults,
    ) -> Access {
        let mode = self.mode.unwrap_or_default();
        let takes_certificates = tls.is_some_and(|tls| tls.clients.is_some());
        match mode {
            Mode::Open if takes_certificates => faults.add(
                "tls.client_ca",
                "of no use while access.mode is open, where nobody needs a certificate; write access.mode: certificate or kubernetes",
            ),
            Mode::Certificate if !takes_certificates => faults.add(
                "access.mode",
                "certificate needs to know who signs them; write tls.certificate, tls.key and tls.client_ca",
            ),
            Mode::Kubernetes if *source == Source::Standalone => faults.add(
                "access.mode",
                "kubernetes asks the API server about tokens, and standalone has none; write certificate or open",
            ),
            _ => {}
        }
        Access {
            mode,
            outage_grace: self.outage_grace.unwrap_or(GRACE),
            namespace: host.namespace.as_deref().map(|name| name.trim().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, file, settings};
    use super::*;
    use crate::cli::Launch;

    fn checked(text: &str, standalone: bool) -> Result<Settings, Vec<String>> {
        let mut faults = Faults::default();
        let file = file::parse("podmeter.yaml", text, &mut faults);
        let launch = Launch { standalone, node: Some("n1".to_owned()), ..Launch::default() };
        let namespace = Some("meters".to_owned());
        let host = Host { hostname: "h".to_owned(), in_cluster: true, namespace };
        let settings = settings::validate(file, &launch, &host, &mut faults);
        let lines = faults.lines().map(str::to_owned).collect();
        if faults.is_empty() { Ok(settings) } else { Err(lines) }
    }

    #[test]
    fn all_that_is_written_is_meant() {
        let text = "tls: {certificate: /c, key: /k, client_ca: /ca, client_crl: /crl}\n\
                    access: {mode: kubernetes, outage_grace: 30s}\n";
        let settings = checked(text, false).unwrap();
        let expected = Access {
            mode: Mode::Kubernetes,
            outage_grace: Duration::from_secs(30),
            namespace: Some("meters".into()),
        };
        assert_eq!(settings.access, expected);
        let tls = settings.tls.unwrap();
        assert_eq!(tls.certificates.len(), 1);
        let clients = tls.clients.unwrap();
        assert!(!clients.required, "probes show no certificate");
        let (ca, crl) = ("/ca".into(), Some("/crl".into()));
        assert_eq!(clients.authorities, AuthoritiesFrom::Files { ca, crl });
    }

    #[test]
    fn example_of_the_docs_page_is_valid() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/access.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, example) = page.split_once("```yaml\n# podmeter.yaml\n").unwrap();
        let settings = checked(example.split("```").next().unwrap(), false).unwrap();
        assert_eq!(settings.access.mode, Mode::Kubernetes);
        assert!(settings.tls.unwrap().clients.is_some());
    }

    #[test]
    fn what_would_leave_a_door_open_or_shut_for_all_is_a_fault() {
        let files = "certificate: /c, key: /k";
        for (text, standalone, key) in [
            ("tls: {certificate: /c}".to_owned(), false, "tls.key"),
            ("tls: {key: /c}".to_owned(), false, "tls.certificate"),
            ("tls: {client_ca: /ca}".to_owned(), false, "tls.client_ca"),
            (format!("tls: {{{files}, client_crl: /crl}}"), false, "tls.client_crl"),
            (format!("tls: {{{files}, client_ca: /ca}}"), false, "tls.client_ca"),
            (format!("tls: {{{files}}}\naccess: {{mode: certificate}}"), false, "access.mode"),
            ("access: {mode: certificate}".to_owned(), false, "access.mode"),
            ("access: {mode: kubernetes}".to_owned(), true, "access.mode"),
            ("access: {mode: closed}".to_owned(), true, "access.mode"),
            ("access: {outage_grace: 2days}".to_owned(), true, "access.outage_grace"),
        ] {
            let faults = checked(&text, standalone).unwrap_err();
            let place = format!("{key}: ");
            assert!(faults.len() == 1 && faults[0].starts_with(&place), "{text}: {faults:?}");
        }
    }
}
