//! How one comes in: with TLS or without, and who may read what.

use collector::snapshot::Contribute;
use kube::Client;
use tracing::warn;

use super::access::Access;
use super::tls::{Handshakes, Tls};
use crate::config::{Mode, Settings};
use crate::tasks::{Stage, Tasks};

/// What stands between a client and the answers. The default lets everybody in, without TLS.
#[derive(Default)]
pub struct Entry {
    pub(super) tls: Option<Handshakes>,
    pub(super) access: Access,
}

impl Entry {
    /// As configured. Reads the TLS files, and follows them from then on.
    ///
    /// # Errors
    /// When one of the files cannot be used.
    pub(crate) fn open(
        settings: &Settings,
        client: Option<&Client>,
        tasks: &mut Tasks,
        contributors: &mut Vec<Box<dyn Contribute>>,
    ) -> anyhow::Result<Self> {
        let tls = match &settings.tls {
            None => None,
            Some(tls) => {
                let (tls, handshakes) = Tls::open(tls, super::Settings::default().connections)?;
                contributors.push(Box::new(tls.stats()));
                tasks.start(Stage::Serve, "TLS files", |stop| tls.run(stop));
                Some(handshakes)
            }
        };
        if settings.access.mode == Mode::Kubernetes && tls.is_none() {
            warn!(
                "access.mode is kubernetes and there is no TLS: tokens can be read on their way here; set tls.certificate and tls.key"
            );
        }
        let access = Access::new(&settings.access, client);
        contributors.push(Box::new(access.stats.clone()));
        Ok(Self { tls, access })
    }
}
