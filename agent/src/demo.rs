//! `podmeter demo`: everything at once on this machine, with no cluster and no configuration.
//!
//! Only the pods are made up: their cgroups and processes are real, and their metadata comes through the
//! same watch as in a cluster, from an API server in this process. [`plan`] says what there is, [`objects`] and
//! [`fronts`] say it in the API's words, [`tree`] makes the cgroups and [`network`] the addresses, [`kubelet`]
//! keeps the processes running, [`worker`] is what they do, and [`traffic`] asks them through the proxy.

pub mod fronts;
mod intro;
pub mod kubelet;
pub mod network;
pub mod objects;
pub mod plan;
mod traffic;
pub mod tree;
pub mod worker;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use collector::api::client;
use collector::cgroup;
use collector::pods::labels;
use collector::proxy::settings::{self, Balance, Drain};
use globset::GlobSet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::apiserver::ApiServer;
use crate::app::{self, Agent};
use crate::cli::Demo;
use crate::config::{self, Faults, LogSettings, Settings, Source, checked_interval};
use crate::logs;
use crate::proxy::run::Bound;
use crate::server::Stats;
use crate::tasks::{Signals, Stage};
use intro::Intro;
use kubelet::Kubelet;
use network::Network;
use traffic::Traffic;
use tree::Tree;

/// Where the demo listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
/// Where its proxy listens unless told otherwise.
const PROXY_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Requests under way when the demo ends; nobody waits for a load balancer here.
const DRAIN: Drain = Drain { delay: Duration::ZERO, timeout: Duration::from_secs(2) };

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
    let stats = Stats::default();
    // Before the pods' network, which can do without its usual port where the proxy has that on all addresses.
    let proxy = open_proxy(&settings, flags.proxy_listen, &stats)?;
    let proxied = proxy.addresses().next().context("the proxy of the demo listens nowhere")?;
    let network = Network::claim()?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut kubelet = Kubelet::new(&server, tree.as_ref(), &network, program);
    let pods = kubelet.start().await?;
    let intro = Intro { address, proxy: proxied, pods: &pods, refused: refused.as_deref() };
    intro.print().context("cannot write to stdout")?;
    let client = client::at(server.url().parse()?)?;
    let traffic = Traffic { proxy: proxied, agent: address };
    let agent = Agent {
        settings: &settings,
        client: Some(client),
        listeners: vec![listener],
        stats,
        proxy: Some(proxy),
        watched: None,
        beside: vec![Box::new(move |tasks| {
            tasks.start(Stage::Proxy, "traffic", |stop| traffic.run(stop));
        })],
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
        diagnose: true,
        events: Vec::new(),
        labels: labels::Settings::default(),
        exclude: GlobSet::empty(),
        log,
        // It listens on the loopback interface, where everybody may look.
        tls: None,
        access: config::Access::default(),
        proxy: Some(proxy(flags.proxy_listen.unwrap_or(PROXY_LISTEN))),
    }
}

fn proxy(listen: SocketAddr) -> config::Proxy {
    config::Proxy {
        settings: settings::Settings {
            node: plan::NODE.into(),
            workers: 2,
            listen: vec![listen],
            // The canary is slower on purpose; the default would find that out and ask it hardly ever.
            balance: Balance::RoundRobin,
            drain: DRAIN,
            ..settings::Settings::default()
        },
        ingress_class: Some(plan::CLASS.into()),
        ..config::Proxy::default()
    }
}

/// The proxy at the address asked for, or the default one, or where that is taken at any free port.
fn open_proxy(
    settings: &Settings,
    asked: Option<SocketAddr>,
    stats: &Stats,
) -> anyhow::Result<Bound> {
    let open = |address| Bound::open(&proxy(address), &settings.node, stats, "with --proxy-listen");
    match open(asked.unwrap_or(PROXY_LISTEN)) {
        Err(error) if asked.is_none() && is_taken(&error) => {
            open(SocketAddr::new(PROXY_LISTEN.ip(), 0))
        }
        outcome => outcome,
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::AddrInUse)
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
        outcome => outcome.map_err(|error| app::refused(address, error, app::LISTEN)),
    }
}
