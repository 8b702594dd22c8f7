//! What has to fit together: addresses, files, who knows the Services, and the routes as a whole.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use collector::proxy::route::Action;
use collector::proxy::settings::AuthoritiesFrom;

use super::Proxy;
use crate::config::Faults;

/// Most addresses of one kind.
const MAX_LISTEN: usize = 8;
/// Fewest bytes of a key that signs.
const MIN_KEY: u64 = 32;

impl Proxy {
    /// The proxy of this node, or `None` when it listens nowhere. `metrics` is where the agent itself listens;
    /// `has_api` says whether there is an API server.
    pub(in crate::config) fn checked(
        mut self,
        node: &Arc<str>,
        metrics: &[SocketAddr],
        has_api: bool,
        faults: &mut Faults,
    ) -> Option<Self> {
        if self.settings.listen.is_empty() && self.settings.listen_tls.is_empty() {
            return None;
        }
        self.check_addresses(metrics, faults);
        self.check_tls(has_api, faults);
        self.check_files(faults);
        if !has_api {
            self.check_backends(faults);
            if self.ingress_class.is_some() {
                let text = "needs an API server; leave it out with standalone";
                faults.add("proxy.ingress_class", text);
            }
        }
        self.settings.node = node.clone();
        Some(self)
    }

    /// Without an API server only the services of the file have addresses.
    fn check_backends(&self, faults: &mut Faults) {
        for route in &self.routes {
            let Action::Forward(backends) = &route.action else { continue };
            if let Some((key, _)) = backends.iter().find(|(key, _)| !key.namespace.is_empty()) {
                faults.add(
                    "proxy.routes",
                    format_args!(
                        "{} names {}/{}, which only an API server knows; with standalone name a service of proxy.services",
                        route.origin.name, key.namespace, key.name
                    ),
                );
            }
        }
    }

    fn check_addresses(&self, metrics: &[SocketAddr], faults: &mut Faults) {
        let mut seen: Vec<SocketAddr> = Vec::new();
        for (key, addresses) in
            [("listen", &self.settings.listen), ("listen_tls", &self.settings.listen_tls)]
        {
            if addresses.len() > MAX_LISTEN {
                let text = format_args!("more than {MAX_LISTEN} addresses");
                faults.add(&format!("proxy.{key}"), text);
            }
            for (at, address) in addresses.iter().enumerate() {
                let key = format!("proxy.{key}[{at}]");
                if let Some(other) = metrics.iter().find(|other| are_one(**other, *address)) {
                    faults.add(&key, format_args!("{address} is taken by listen ({other}), where the metrics are served; choose another port"));
                }
                if let Some(other) = seen.iter().find(|other| are_one(**other, *address)) {
                    faults.add(
                        &key,
                        format_args!("{address} is taken by {other} already; remove one of them"),
                    );
                }
                seen.push(*address);
            }
        }
    }

    fn check_tls(&self, has_api: bool, faults: &mut Faults) {
        let tls = &self.settings.tls;
        let listens = !self.settings.listen_tls.is_empty();
        if listens && tls.certificates.is_empty() && self.ingress_class.is_none() {
            faults.add("proxy.tls.certificates", "empty, and there is no ingress_class whose Secrets could hold any; write certificate and key of one");
        }
        let Some(clients) = &tls.clients else { return };
        if !listens {
            faults.add(
                "proxy.tls.clients",
                "only clients of listen_tls have certificates; set listen_tls, or remove this",
            );
        }
        if matches!(clients.authorities, AuthoritiesFrom::Secret { .. }) && !has_api {
            faults.add("proxy.tls.clients.secret", "needs an API server; write ca with standalone");
        }
    }

    fn check_files(&self, faults: &mut Faults) {
        let tls = &self.settings.tls;
        for (at, files) in tls.certificates.iter().enumerate() {
            let key = format!("proxy.tls.certificates[{at}]");
            check_file(&format!("{key}.certificate"), &files.certificate, 1, faults);
            check_file(&format!("{key}.key"), &files.key, 1, faults);
        }
        if let Some(AuthoritiesFrom::Files { ca, crl }) =
            tls.clients.as_ref().map(|clients| &clients.authorities)
        {
            check_file("proxy.tls.clients.ca", ca, 1, faults);
            if let Some(crl) = crl {
                check_file("proxy.tls.clients.crl", crl, 1, faults);
            }
        }
        if let Some(ca) = &tls.backend_ca {
            check_file("proxy.tls.backend_ca", ca, 1, faults);
        }
        if let Some(key) = &self.settings.affinity_key {
            check_file("proxy.affinity_key", key, MIN_KEY, faults);
        }
        let log = self.settings.access_log.as_ref().and_then(|log| log.path.as_deref());
        if let Some(path) = log.filter(|path| !path.is_absolute() || path.is_dir()) {
            let path = path.display();
            faults.add(
                "proxy.access_log.path",
                format_args!("{path} is not the absolute path of a file"),
            );
        }
    }
}

/// Whether both would be served by one socket, or refused by the kernel.
fn are_one(a: SocketAddr, b: SocketAddr) -> bool {
    let meet = a.ip() == b.ip()
        || (a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified()));
    a.port() == b.port() && a.port() != 0 && meet
}

fn check_file(key: &str, path: &Path, least: u64, faults: &mut Faults) {
    // Opened, not only looked at: a Secret may be mounted for another user.
    match File::open(path).and_then(|file| file.metadata()) {
        Err(error) => faults.add(key, format_args!("cannot read {}: {error}", path.display())),
        Ok(found) if !found.is_file() => {
            faults.add(key, format_args!("{} is not a file", path.display()));
        }
        Ok(found) if found.len() < least && least > 1 => faults.add(
            key,
            format_args!(
                "{} has fewer than {least} bytes; make it with: head -c {least} /dev/urandom",
                path.display()
            ),
        ),
        Ok(found) if found.len() < least => {
            faults.add(key, format_args!("{} is empty", path.display()));
        }
        Ok(_) => {}
    }
}
