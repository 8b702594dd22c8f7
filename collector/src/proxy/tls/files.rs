//! PEM files: read at the start, and again when their content changes.
//!
//! Looks at the content once a second instead of asking the kernel for changes: a Secret volume changes by a swapped
//! link to another directory, which a watch of the files themselves does not see, and the files are few and small.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::pem::{Broken, is_note};
use crate::proxy::control::{Authorities, Certificate, ToldTls};
use crate::proxy::route::{Fault, Origin, Source};
use crate::proxy::settings::{AuthoritiesFrom, CertificateFiles, Tls};

const EVERY: Duration = Duration::from_secs(1);
/// A Secret holds no more.
const MOST: u64 = 1 << 20;

type Text = Arc<[u8]>;

/// The PEM files of the settings, and what they held when they could last be read.
pub struct Files {
    certificates: Vec<CertificateFiles>,
    authorities: Option<(PathBuf, Option<PathBuf>)>,
    texts: HashMap<PathBuf, Text>,
    told: ToldLast,
    faults: watch::Sender<Arc<Vec<Fault>>>,
}

/// PEM files that a start cannot do without, a line each.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// What was told, and what was wrong with it.
#[derive(Default)]
struct ToldLast {
    certificates: Option<Vec<Certificate>>,
    certificate_faults: Vec<Fault>,
    authorities: Option<Authorities>,
    authority_faults: Vec<Fault>,
}

impl Files {
    /// The files of these settings; nothing is read yet.
    #[must_use]
    pub fn new(tls: &Tls) -> Self {
        let authorities = tls.clients.as_ref().and_then(|clients| match &clients.authorities {
            AuthoritiesFrom::Files { ca, crl } => Some((ca.clone(), crl.clone())),
            AuthoritiesFrom::Secret { .. } => None,
        });
        Self {
            certificates: tls.certificates.clone(),
            authorities,
            texts: HashMap::new(),
            told: ToldLast::default(),
            faults: watch::Sender::default(),
        }
    }

    /// Whether there is any file to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.authorities.is_none()
    }

    /// What is wrong with the files now.
    #[must_use]
    pub fn faults(&self) -> watch::Receiver<Arc<Vec<Fault>>> {
        self.faults.subscribe()
    }

    /// Reads all files and tells what is new. Gives all that is wrong now, so that a start can fail with it.
    ///
    /// A file that cannot be read keeps what it held. What was never read is not told: a list of authorities
    /// without its revocation lists would let revoked clients in.
    pub fn load(&mut self, told: &dyn ToldTls) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.load_certificates(told, &mut faults);
        self.load_authorities(told, &mut faults);
        faults
    }

    /// Loads for a start: notes are logged, and what cannot be used fails it, since there are no last good ones yet.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn load_first(&mut self, told: &dyn ToldTls) -> Result<(), Unusable> {
        let faults = self.load(told);
        let bad: Vec<_> = faults.iter().filter(|fault| !is_note(fault)).map(said).collect();
        if !bad.is_empty() {
            return Err(Unusable(bad.join("\n")));
        }
        self.report(faults);
        Ok(())
    }

    /// Loads every second until it is told to stop.
    pub async fn run(mut self, told: Arc<dyn ToldTls>, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let faults = self.load(&*told);
            self.report(faults);
        }
    }

    fn load_certificates(&mut self, told: &dyn ToldTls, faults: &mut Vec<Fault>) {
        let mut certificates = Vec::new();
        for files in self.certificates.clone() {
            let origin = origin(&files.certificate);
            let texts = (self.text(&files.certificate, faults), self.text(&files.key, faults));
            if let (Some(chain), Some(key)) = texts {
                certificates.push(Certificate { origin, chain, key, hosts: Vec::new() });
            }
        }
        // Nothing is told where nothing is configured, or nothing could be read yet.
        let is_new = self.told.certificates.as_ref() != Some(&certificates)
            && !(certificates.is_empty() && self.told.certificates.is_none());
        if is_new {
            self.told.certificate_faults = told.certificates(Source::File, certificates.clone());
            self.told.certificates = Some(certificates);
        }
        faults.extend_from_slice(&self.told.certificate_faults);
    }

    fn load_authorities(&mut self, told: &dyn ToldTls, faults: &mut Vec<Fault>) {
        let Some((ca, crl)) = self.authorities.clone() else { return };
        let texts = (self.text(&ca, faults), crl.as_deref().map(|crl| self.text(crl, faults)));
        let authorities = match texts {
            (Some(text), None) => Some(Authorities { origin: origin(&ca), ca: text, crl: None }),
            (Some(text), Some(Some(crl))) => {
                Some(Authorities { origin: origin(&ca), ca: text, crl: Some(crl) })
            }
            _ => None,
        };
        if let Some(authorities) = authorities
            && self.told.authorities.as_ref() != Some(&authorities)
        {
            self.told.authority_faults = told.authorities(authorities.clone());
            self.told.authorities = Some(authorities);
        }
        faults.extend_from_slice(&self.told.authority_faults);
    }

    /// What the file holds, or held when it could last be read.
    fn text(&mut self, path: &Path, faults: &mut Vec<Fault>) -> Option<Text> {
        match read(path) {
            Ok(text) => {
                if self.texts.get(path).is_none_or(|known| **known != *text) {
                    self.texts.insert(path.to_owned(), text.into());
                }
            }
            Err(error) => faults.push(Broken::Unreadable(error.kind()).fault(&origin(path))),
        }
        self.texts.get(path).cloned()
    }

    /// One line for each fault that comes and for the end of all of them, not one a second.
    fn report(&self, faults: Vec<Fault>) {
        self.faults.send_if_modified(|known| {
            if **known == faults {
                return false;
            }
            for fault in faults.iter().filter(|fault| !known.contains(fault)) {
                warn!(file = %fault.origin.name, reason = fault.reason, "{}", fault.sentence);
            }
            if faults.is_empty() {
                info!("the TLS files are in order again");
            }
            *known = Arc::new(faults);
            true
        });
    }
}

/// Keeps the keys out of every log.
impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("certificates", &self.certificates)
            .field("authorities", &self.authorities)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

fn said(fault: &Fault) -> String {
    format!("{}: {}", fault.origin.name, fault.sentence)
}

fn origin(path: &Path) -> Origin {
    Origin { source: Source::File, namespace: "".into(), name: path.to_string_lossy().into() }
}

#[cfg(test)]
mod tests;
