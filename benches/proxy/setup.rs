//! Everything that runs: two backends and, in front of them, the proxies that are compared.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use rustls::ClientConfig;
use tempfile::TempDir;

use super::client::Target;
use super::process::{Process, Watch, free_address, on_two_cores};
use super::site::{Certificate, LARGE, Page, SMALL, Site};
use super::{haproxy, nginx, podmeter};

/// The names, in the order in which they take turns and stand in the table.
pub(crate) const PODMETER: &str = "Podmeter";
pub(crate) const NGINX: &str = "nginx";
pub(crate) const HAPROXY: &str = "HAProxy";
/// The backends, asked directly: the floor.
pub(crate) const DIRECT: &str = "no proxy";

/// One that is asked.
pub(crate) struct Contender {
    /// Which.
    pub(crate) name: &'static str,
    /// Plain and TLS; two of each for the floor.
    places: Vec<[SocketAddr; 2]>,
    /// None for the floor, which nobody looks at.
    pub(crate) process: Option<Process>,
    /// What it has answered so far, in all cases.
    pub(crate) answered: Cell<u64>,
}

/// What a contender's processes used during a piece of work.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// CPU seconds.
    pub(crate) cpu: f64,
    /// The most memory, in MiB.
    pub(crate) memory: f64,
}

impl Contender {
    /// Does the work, with an eye on its processes.
    pub(crate) fn during<T>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, Used)> {
        let Some(process) = &self.process else { return Ok((work()?, Used::default())) };
        let (watch, before) = (Watch::start(process)?, process.cpu()?);
        let done = work();
        let cpu = process.cpu()? - before;
        Ok((done?, Used { cpu, memory: watch.peak() }))
    }

    /// So many more answers.
    pub(crate) fn count(&self, answered: u64) {
        self.answered.set(self.answered.get() + answered);
    }

    /// Where it serves.
    pub(crate) fn address(&self, is_secure: bool) -> SocketAddr {
        self.places[0][usize::from(is_secure)]
    }
}

/// All of it. The processes end with it, and the folder goes after them.
pub(crate) struct Setup {
    /// Those that are there.
    pub(crate) contenders: Vec<Contender>,
    _backends: Vec<Process>,
    client: Arc<ClientConfig>,
    metrics: SocketAddr,
    directory: TempDir,
}

impl Setup {
    /// Starts all and checks that each serves every page, byte by byte.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let certificate = Certificate::make(directory.path())?;
        let (mut backends, mut addresses) = (Vec::new(), Vec::new());
        for number in 0..2 {
            let (plain, tls) = (free_address()?, free_address()?);
            let name = format!("backend{number}");
            let folder = folder(directory.path(), &name)?;
            let command = nginx::backend(&folder, &certificate, plain, tls)?;
            backends.push(Process::start(&name, command, &folder, &[plain, tls])?);
            addresses.push([plain, tls]);
        }
        let metrics = free_address()?;
        let servers = [addresses[0][0], addresses[1][0]];
        let proxy = |name, command: &dyn Fn(&Site<'_>) -> anyhow::Result<Option<Command>>| {
            let folder = folder(directory.path(), name)?;
            let site = Site {
                directory: &folder,
                plain: free_address()?,
                tls: free_address()?,
                certificate: &certificate,
                backends: servers,
            };
            let Some(command) = command(&site)? else { return Ok(None) };
            let place = [site.plain, site.tls];
            let process = on_two_cores(|| Process::start(name, command, &folder, &place))?;
            let answered = Cell::new(0);
            anyhow::Ok(Some(Contender {
                name,
                places: vec![place],
                process: Some(process),
                answered,
            }))
        };
        let mut contenders = Vec::new();
        contenders.extend(proxy(PODMETER, &|site| podmeter::proxy(site, metrics))?);
        contenders.extend(proxy(NGINX, &|site| nginx::proxy(site).map(Some))?);
        contenders.extend(proxy(HAPROXY, &|site| haproxy::proxy(site).map(Some))?);
        let answered = Cell::new(0);
        contenders.push(Contender { name: DIRECT, places: addresses, process: None, answered });
        let client = certificate.client()?;
        Ok(Self { contenders, _backends: backends, client, metrics, directory })
    }

    /// The one of that name, if it takes part.
    pub(crate) fn contender(&self, name: &str) -> Option<&Contender> {
        self.contenders.iter().find(|contender| contender.name == name)
    }

    /// How it is asked for a page.
    pub(crate) fn target(&self, contender: &Contender, is_secure: bool, page: Page) -> Target {
        let tls = is_secure.then(|| Arc::clone(&self.client));
        Target { address: contender.address(is_secure), tls, page }
    }

    /// The same for each of its addresses: the floor is asked at both backends, as a proxy asks them.
    pub(crate) fn targets(
        &self,
        contender: &Contender,
        is_secure: bool,
        page: Page,
    ) -> Vec<Target> {
        let target = self.target(contender, is_secure, page);
        let place = |place: &[SocketAddr; 2]| place[usize::from(is_secure)];
        let places = contender.places.iter().map(place);
        places.map(|address| Target { address, ..target.clone() }).collect()
    }

    /// For files that a case needs.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Asks each for every page and compares every byte; all have to choose the same cipher, which is returned.
    pub(crate) fn check(&self) -> anyhow::Result<String> {
        let mut ciphers = BTreeSet::new();
        for contender in &self.contenders {
            for (is_secure, page) in [(false, SMALL), (false, LARGE), (true, SMALL), (true, LARGE)]
            {
                let cipher = self
                    .target(contender, is_secure, page)
                    .check()
                    .with_context(|| format!("{} does not serve {}", contender.name, page.name))?;
                contender.count(1);
                ciphers.extend(is_secure.then_some(cipher));
            }
        }
        ensure!(ciphers.len() == 1, "not all choose the same cipher: {ciphers:?}");
        Ok(ciphers.into_iter().collect())
    }

    /// What Podmeter's own series count, and what it has answered here.
    pub(crate) fn measured(&self) -> anyhow::Result<Option<(u64, u64)>> {
        let Some(contender) = self.contender(PODMETER) else { return Ok(None) };
        Ok(Some((podmeter::measured(self.metrics)?, contender.answered.get())))
    }
}

fn folder(root: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = root.join(name);
    fs::create_dir(&path)?;
    Ok(path)
}
