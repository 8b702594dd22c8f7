//! What is meant: the file under the flags, validated, with every default filled in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use collector::pods::labels;
use collector::pods::notices::Matter;
use collector::proxy::settings::Tls;
use collector::schema::{Id, Kernel, Series};
use collector::{cgroup, join, sampler};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use tracing_subscriber::EnvFilter;

use super::file::File;
use super::{Access, Faults, Proxy};
use crate::cli::{Launch, Log, LogFormat};

/// Where the agent listens unless told otherwise.
pub(super) const DEFAULT_LISTEN: &str = "0.0.0.0:9464";
/// The interval of scrapes that most Prometheus set-ups use lies between 10 s and 60 s.
pub(super) const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(300);
const MAX_LISTEN: usize = 8;

/// Everything a command needs to know, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node's name, on every series.
    pub node: Arc<str>,
    /// Time between two samples.
    pub interval: Duration,
    /// Where `/metrics` is served; not empty, no address twice.
    pub listen: Vec<SocketAddr>,
    /// Which cgroups are read.
    pub cgroup: cgroup::Config,
    /// Where the node's procfs is mounted.
    pub proc: PathBuf,
    /// Who knows the pods' names.
    pub source: Source,
    /// Whether the API server is asked why a pod is stuck.
    pub diagnose: bool,
    /// What Events are written about on pods.
    pub events: Vec<Matter>,
    /// Which labels and annotations go on series.
    pub labels: labels::Settings,
    /// Series families left out.
    pub exclude: GlobSet,
    /// How to log.
    pub log: LogSettings,
    /// Certificates for `listen`; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// Who may read there.
    pub access: Access,
    /// What the reverse proxy does; `None` when it listens nowhere.
    pub proxy: Option<Proxy>,
}

/// Who knows the pods' names and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The API server, with the pod's own service account.
    InCluster,
    /// The API server, as this file says.
    Kubeconfig(PathBuf),
    /// No API server: the machine's own files.
    Standalone,
}

/// How to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `tracing` directives; checked.
    pub filter: String,
    /// Shape of a line.
    pub format: LogFormat,
}

/// What the machine says of itself, apart so that tests can say something else.
#[derive(Clone, Debug)]
pub struct Host {
    /// `uname -n`.
    pub hostname: String,
    /// Whether the kubelet's variables say that this is a pod.
    pub in_cluster: bool,
    /// The namespace of this pod, if the downward API tells it.
    pub namespace: Option<String>,
}

impl Host {
    /// Asks the kernel and the environment.
    #[must_use]
    pub fn here() -> Self {
        let hostname = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
        Self {
            hostname,
            in_cluster: std::env::var_os("KUBERNETES_SERVICE_HOST")
                .is_some_and(|host| !host.is_empty()),
            namespace: std::env::var("POD_NAMESPACE").ok().filter(|name| !name.trim().is_empty()),
        }
    }
}

impl Settings {
    /// What the sampling thread reads and how it names it.
    #[must_use]
    pub fn sampler(&self) -> sampler::Config {
        sampler::Config {
            cgroup: self.cgroup.clone(),
            proc: self.proc.clone(),
            join: join::Config {
                node: self.node.clone(),
                exclude: self.exclude.clone(),
                foreign: self.source == Source::Standalone,
                interval: self.interval,
            },
        }
    }
}

impl LogSettings {
    /// From flags over what the file says.
    pub fn new(
        flags: &Log,
        file: Option<String>,
        format: Option<LogFormat>,
        faults: &mut Faults,
    ) -> Self {
        let filter = filled(flags.filter.as_ref()).or(file).unwrap_or_else(|| "info".to_owned());
        if let Err(error) = EnvFilter::builder().parse(&filter) {
            faults.add("log.filter", format_args!("{filter:?} is not a filter ({error}); write a level such as \"info\" or \"info,collector=debug\""));
        }
        Self { filter, format: flags.format.or(format).unwrap_or_default() }
    }
}

/// Puts the flags over the file and checks the outcome. What cannot be used goes to `faults`.
pub(super) fn validate(file: File, launch: &Launch, host: &Host, faults: &mut Faults) -> Settings {
    let interval =
        checked_interval(launch.interval.or(file.interval).unwrap_or(DEFAULT_INTERVAL), faults);
    let source = source(&file, launch, host, faults);
    let proc = directory("proc", launch.proc_root.clone().or(file.proc), "/proc", faults);
    let labels = labels::Settings {
        labels: file.labels,
        annotations: file.annotations,
        namespace_labels: labels::Filter { include: file.namespace_labels, exclude: Vec::new() },
        max_keys: file.max_count.unwrap_or(24),
        max_value: file.max_length.unwrap_or(128),
    };
    if let Err(bad) = labels::Rules::new(&labels) {
        for bad in &bad {
            faults.add(
                bad.list,
                format_args!("{:?} is not a glob: {}", bad.pattern, bad.source.kind()),
            );
        }
    }
    let node = node(filled(launch.node.as_ref()).or(file.node), &source, host, faults);
    let listen = listen(&launch.listen, file.listen, faults);
    let tls = file.tls.checked(faults);
    let access = file.access.checked((tls.as_ref(), &source), host, faults);
    let exclude = globs("metrics.exclude", &file.metrics_exclude, faults);
    let events = events(file.events, &exclude, faults);
    let proxy = file.proxy.checked(&node, &listen, source != Source::Standalone, faults);
    Settings {
        node,
        interval,
        listen,
        cgroup: cgroup::Config {
            root: directory(
                "cgroup.root",
                launch.cgroup_root.clone().or(file.cgroup_root),
                "/sys/fs/cgroup",
                faults,
            ),
            mountinfo: PathBuf::from("/proc/self/mountinfo"),
            subtree: subtree(file.cgroup_subtree, faults),
        },
        proc,
        source,
        diagnose: file.diagnose.unwrap_or(true),
        events,
        labels,
        exclude,
        log: LogSettings::new(&launch.log, file.log_filter, file.log_format, faults),
        tls,
        access,
        proxy,
    }
}

/// The interval, if it is within its bounds.
pub(crate) fn checked_interval(interval: Duration, faults: &mut Faults) -> Duration {
    if !INTERVALS.contains(&interval) {
        faults.add(
            "interval",
            format_args!("{} is not from 1s to 5m", humantime::format_duration(interval)),
        );
    }
    interval
}

/// A variable that is set to nothing counts as not set: manifests leave such behind.
fn filled(text: Option<&String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn source(file: &File, launch: &Launch, host: &Host, faults: &mut Faults) -> Source {
    let asked = launch.kubeconfig.clone().filter(|path| !path.as_os_str().is_empty());
    let kubeconfig = asked.clone().or_else(|| file.kubeconfig.clone());
    // A flag goes before the other key of the file, so that either can be tried out from the command line.
    if launch.standalone || (asked.is_none() && file.standalone == Some(true)) {
        if file.kubeconfig.is_some() && !launch.standalone {
            faults.add("standalone", "excludes kubernetes.kubeconfig; leave one of them out");
        }
        return Source::Standalone;
    }
    match kubeconfig {
        Some(path) if !path.is_file() => {
            faults.add(
                "kubernetes.kubeconfig",
                format_args!("{} is not a file; write the path of a kubeconfig", path.display()),
            );
            Source::Kubeconfig(path)
        }
        Some(path) => Source::Kubeconfig(path),
        None if host.in_cluster => Source::InCluster,
        None => {
            faults.add("kubernetes.kubeconfig", "not set, and this is not a pod of a cluster; pass --kubeconfig FILE, or --standalone to do without an API server");
            Source::InCluster
        }
    }
}

fn node(name: Option<String>, source: &Source, host: &Host, faults: &mut Faults) -> Arc<str> {
    let name = match (name, source) {
        (Some(name), _) => name,
        // A pod's hostname is the pod's name, never the node's.
        (None, Source::InCluster) if host.in_cluster => {
            faults.add("node", NO_NODE);
            return Arc::default();
        }
        (None, _) => host.hostname.clone(),
    };
    // A DNS subdomain, as the API wants it; it goes into a field selector and on every series.
    let legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
    };
    if name.len() > 253 || !name.bytes().all(legal) {
        faults.add(
            "node",
            format_args!("{name:?} is not a node's name; see the NAME column of kubectl get nodes"),
        );
    }
    name.into()
}

const NO_NODE: &str =
    "not set, and a pod cannot tell by itself; let the downward API fill NODE_NAME:
  env:
    - name: NODE_NAME
      valueFrom:
        fieldRef:
          fieldPath: spec.nodeName";

fn listen(
    flags: &[SocketAddr],
    file: Option<Vec<SocketAddr>>,
    faults: &mut Faults,
) -> Vec<SocketAddr> {
    let listen = if flags.is_empty() { file } else { Some(flags.to_vec()) };
    let listen = listen.unwrap_or_else(|| DEFAULT_LISTEN.parse().into_iter().collect());
    if listen.is_empty() && faults.is_empty() {
        faults.add("listen", format_args!("empty; write [{DEFAULT_LISTEN:?}]"));
    }
    if listen.len() > MAX_LISTEN {
        faults.add("listen", format_args!("more than {MAX_LISTEN} addresses"));
    }
    for (at, address) in listen.iter().enumerate() {
        if address.port() != 0 && listen[..at].contains(address) {
            faults.add("listen", format_args!("{address} stands twice"));
        }
    }
    listen
}

/// What they are about is seen in series, which must not be left out then.
fn events(matters: Vec<Matter>, exclude: &GlobSet, faults: &mut Faults) -> Vec<Matter> {
    for matter in &matters {
        let needs: &[Id] = match matter {
            Matter::Stuck => &[],
            Matter::Memory => &[Series::MemoryLimitRatio.into()],
            Matter::Throttling => {
                &[Id::container(Kernel::CfsPeriods), Id::container(Kernel::CfsThrottledPeriods)]
            }
        };
        for name in needs.iter().map(|id| id.metric().name).filter(|name| exclude.is_match(name)) {
            let matter = matter.as_str();
            let text = format_args!(
                "{matter} needs {name}, which metrics.exclude leaves out; take it out of one of them"
            );
            faults.add("kubernetes.events", text);
        }
    }
    matters
}

fn directory(key: &str, path: Option<PathBuf>, default: &str, faults: &mut Faults) -> PathBuf {
    let path = path.unwrap_or_else(|| PathBuf::from(default));
    if !path.is_absolute() {
        faults
            .add(key, format_args!("{} is not an absolute path; write {default}", path.display()));
    }
    path
}

fn subtree(path: Option<String>, faults: &mut Faults) -> String {
    let path = path.unwrap_or_else(|| "/".to_owned());
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        faults.add(
            "cgroup.subtree",
            format_args!(
                "{path:?} is not a path below the hierarchy's root; write one such as \"/kubepods\""
            ),
        );
    }
    path
}

fn globs(key: &str, patterns: &[String], faults: &mut Faults) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for (at, pattern) in patterns.iter().enumerate() {
        match GlobBuilder::new(pattern).build() {
            Ok(glob) => {
                set.add(glob);
            }
            Err(error) => faults.add(
                &format!("{key}[{at}]"),
                format_args!("{pattern:?} is not a glob: {}", error.kind()),
            ),
        }
    }
    set.build().unwrap_or_default()
}
