//! `podmeter demo`: everything at once on this machine, with no cluster and no configuration.
//!
//! Only the pods are made up: their cgroups and processes are real, and their metadata comes through the
//! same watch as in a cluster, from an API server in this process. [`plan`] says what there is, [`tree`]
//! makes the cgroups, [`kubelet`] keeps the processes running, [`worker`] is what they do.

mod intro;
pub mod kubelet;
pub mod plan;
pub mod tree;
pub mod worker;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use collector::api::client;
use collector::cgroup;
use collector::pods::labels;
use globset::GlobSet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::apiserver::ApiServer;
use crate::app::{self, Agent};
use crate::cli::Demo;
use crate::config::{Faults, LogSettings, Settings, Source, checked_interval};
use crate::logs;
use crate::tasks::Signals;
use kubelet::Kubelet;
use tree::Tree;

/// Where the demo listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// Runs the demo until a signal or for the time asked for.
///
/// # Errors
/// When the address asked for is taken, or a part fails.
pub fn run(flags: &Demo) -> anyhow::Result<()> {
    let log = log(flags)?;
    logs::start(&log);
    app::runtime()?.block_on(async {
        Signals::install()?
            .around(async |stop| {
                let demo = demo(flags, log, stop.clone());
                match flags.lasting {
                    None => demo.await,
                    Some(lasting) => {
                        let end = async {
                            tokio::time::sleep(lasting).await;
                            stop.cancel();
                            std::future::pending::<()>().await;
                        };
                        tokio::select! {
                            outcome = demo => outcome,
                            () = end => Ok(()),
                        }
                    }
                }
            })
            .await
    })
}

async fn demo(flags: &Demo, log: LogSettings, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = listen(flags.listen).await?;
    let address = listener.local_addr()?;
    let server = ApiServer::start().await.context("cannot start the API server of the demo")?;
    // Made before the kubelet and so dropped after it: processes go first, then their cgroups.
    let (tree, refused) = match Tree::make() {
        Ok(tree) => (Some(tree), None),
        // The innermost cause is the kernel's word; what cgroups-rs says around it is for programmers.
        Err(error) => (None, Some(error.root_cause().to_string())),
    };
    let settings = settings(flags, log, address, tree.as_ref());
    let mut kubelet = Kubelet::new(&server, tree.as_ref());
    let pods = kubelet.start().await?;
    intro::print(address, &pods, refused.as_deref()).context("cannot write to stdout")?;
    let client = client::at(server.url().parse()?)?;
    let agent = Agent {
        settings: &settings,
        client: Some(client),
        listeners: vec![listener],
        watched: None,
    };
    let outcome = tokio::select! {
        outcome = agent.run(stop) => outcome,
        error = kubelet.run() => Err(error),
    };
    kubelet.stop().await;
    outcome
}

/// How to log, once the flags are checked.
fn log(flags: &Demo) -> anyhow::Result<LogSettings> {
    let mut faults = Faults::default();
    checked_interval(flags.interval, &mut faults);
    let log = LogSettings::new(&flags.log, Some("warn".to_owned()), None, &mut faults);
    if faults.is_empty() { Ok(log) } else { Err(faults.into()) }
}

fn settings(flags: &Demo, log: LogSettings, address: SocketAddr, tree: Option<&Tree>) -> Settings {
    Settings {
        node: plan::NODE.into(),
        interval: flags.interval,
        listen: vec![address],
        cgroup: cgroup::Config {
            root: PathBuf::from("/sys/fs/cgroup"),
            mountinfo: PathBuf::from("/proc/self/mountinfo"),
            // Without a tree of its own the demo shows nobody else's containers either.
            subtree: tree.map_or_else(|| "/podmeter-demo-none".to_owned(), Tree::subtree),
        },
        proc: PathBuf::from("/proc"),
        source: Source::InCluster,
        labels: labels::Settings::default(),
        exclude: GlobSet::empty(),
        log,
        proxy: None,
    }
}

/// The address asked for, or the default one, or where that is taken any free port.
async fn listen(asked: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    let address = asked.unwrap_or(LISTEN);
    match TcpListener::bind(address).await {
        Err(error) if asked.is_none() && error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .context("cannot listen on the loopback interface")
        }
        outcome => outcome.map_err(|error| app::refused(address, error)),
    }
}
