//! The file as written: which keys there are and of what kind. What they mean is [`super::settings`]'s business.

mod keys;

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use collector::pods::labels::Filter;
use collector::pods::notices::Matter;
use serde_json::Value;

pub use self::keys::{KEYS, Key};
use super::access;
use super::proxy::Proxy;
use super::section::Section;
use super::{Faults, proxy};
use crate::cli::LogFormat;

/// Far more than any sensible file has; a wrong path (a device, a log) is refused instead of read.
const MAX_BYTES: u64 = 256 * 1024;

/// What was written. `None` is a key that is not there.
#[derive(Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct File {
    pub node: Option<String>,
    pub interval: Option<Duration>,
    pub listen: Option<Vec<SocketAddr>>,
    pub standalone: Option<bool>,
    pub cgroup_root: Option<PathBuf>,
    pub cgroup_subtree: Option<String>,
    pub proc: Option<PathBuf>,
    pub kubeconfig: Option<PathBuf>,
    pub namespace_labels: Vec<String>,
    pub diagnose: Option<bool>,
    pub events: Vec<Matter>,
    pub labels: Filter,
    pub max_count: Option<usize>,
    pub max_length: Option<usize>,
    pub annotations: Filter,
    pub metrics_exclude: Vec<String>,
    pub log_filter: Option<String>,
    pub log_format: Option<LogFormat>,
    pub tls: access::TlsFile,
    pub access: access::File,
    pub proxy: Proxy,
}

/// The text of the file at `path`; an empty one where it cannot be had, with a fault.
pub fn text(path: &Path, faults: &mut Faults) -> String {
    let name = path.display().to_string();
    let mut text = String::new();
    match fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text)) {
        Err(error) => faults.add(&name, format_args!("cannot read it: {error}")),
        Ok(_) if text.len() as u64 > MAX_BYTES => faults.add(
            &name,
            format_args!("more than {} KiB: not a configuration file", MAX_BYTES / 1024),
        ),
        Ok(_) => return text,
    }
    String::new()
}

/// Which keys two texts of the file set differently, save `proxy.routes` and `proxy.services`, which a running
/// agent follows. A text that is no YAML sets nothing.
#[must_use]
pub fn changed(before: &str, after: &str) -> Vec<&'static str> {
    let value = |text: &str| first_of_each_key(text).unwrap_or_default();
    let (before, after) = (value(before), value(after));
    let set = |value: &Value, key: &str| {
        value.pointer(&format!("/{}", key.replace('.', "/"))).filter(|set| !set.is_null()).cloned()
    };
    let followed = |key: &str| key.starts_with("proxy.routes") || key.starts_with("proxy.services");
    let mut changed: Vec<&'static str> = Vec::new();
    for key in KEYS.iter().map(|key| key.path).filter(|key| !followed(key)) {
        let is_told = changed
            .last()
            .is_some_and(|outer| key.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.')));
        if !is_told && set(&before, key) != set(&after, key) {
            changed.push(key);
        }
    }
    changed
}

/// Reads the text of a file called `name`.
pub fn parse(name: &str, text: &str, faults: &mut Faults) -> File {
    // Only comments: YAML has no document there, and nothing is set.
    if text.lines().all(|line| {
        line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---"
    }) {
        return File::default();
    }
    match serde_saphyr::from_str::<Value>(text) {
        Ok(value) => sections(value, faults),
        Err(error) => {
            let place = error.location().map(|at| format!("{name}:{}:{}", at.line(), at.column()));
            let place = place.unwrap_or_else(|| name.to_owned());
            let said = error.without_snippet().to_string();
            let said = said.lines().next().unwrap_or("not YAML");
            if let Some(rest) = said.strip_prefix(DUPLICATE) {
                let key = rest.split(',').next().unwrap_or_default();
                faults.add(&place, format_args!("the key {key} stands twice; remove one of them"));
                // What else is wrong is told at once, as with any fault.
                return first_of_each_key(text)
                    .map_or_else(File::default, |value| sections(value, faults));
            }
            if said.starts_with("multiple YAML documents") {
                faults.add(
                    &place,
                    "a second document; everything stands in one, remove the line ---",
                );
            } else {
                // The place stands in front.
                faults.add(&place, said.split(" at line ").next().unwrap_or(said));
            }
            File::default()
        }
    }
}

/// How the YAML reader begins to tell of a duplicate key.
const DUPLICATE: &str = "duplicate mapping key: ";

/// The file as it would be without the duplicates.
fn first_of_each_key(text: &str) -> Option<Value> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::FirstWins,
    };
    serde_saphyr::from_str_with_options(text, options).ok()
}

fn sections(value: Value, faults: &mut Faults) -> File {
    let mut top = Section::new(String::new(), value, faults);
    let mut file = File {
        node: top.text("node"),
        interval: top.duration("interval"),
        standalone: top.flag("standalone"),
        proc: top.text("proc").map(PathBuf::from),
        listen: addresses(&mut top, "listen", 9464),
        ..File::default()
    };
    file.tls = top.inside("tls", access::read_tls);
    file.access = top.inside("access", access::read);
    top.inside("cgroup", |cgroup| {
        file.cgroup_root = cgroup.text("root").map(PathBuf::from);
        file.cgroup_subtree = cgroup.text("subtree");
    });
    top.inside("kubernetes", |kubernetes| {
        file.kubeconfig = kubernetes.text("kubeconfig").map(PathBuf::from);
        file.namespace_labels = kubernetes.texts("namespace_labels").unwrap_or_default();
        file.diagnose = kubernetes.flag("diagnose");
        file.events = kubernetes.parsed_list("events", "stuck, memory or throttling", |text| {
            Matter::ALL.into_iter().find(|matter| matter.as_str() == text)
        });
    });
    top.inside("labels", |labels| {
        file.labels = filter(labels);
        file.max_count = labels.number("max_count", 0..=256);
        file.max_length = labels.number("max_length", 1..=256);
    });
    file.annotations = top.inside("annotations", filter);
    file.metrics_exclude =
        top.inside("metrics", |metrics| metrics.texts("exclude")).unwrap_or_default();
    top.inside("log", |log| {
        file.log_filter = log.text("filter");
        file.log_format = log.parsed("format", "text or json", |text| {
            <LogFormat as clap::ValueEnum>::from_str(text, false).ok()
        });
    });
    file.proxy = top.inside("proxy", proxy::read);
    top.finish();
    file
}

fn filter(section: &mut Section<'_>) -> Filter {
    Filter {
        include: section.texts("include").unwrap_or_default(),
        exclude: section.texts("exclude").unwrap_or_default(),
    }
}

/// Addresses with ports; `port` is the one that is proposed where there is none.
pub(super) fn addresses(
    section: &mut Section<'_>,
    key: &'static str,
    port: u16,
) -> Option<Vec<SocketAddr>> {
    let texts = section.texts(key)?;
    let mut addresses = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        if let Ok(address) = text.parse() {
            addresses.push(address);
        } else {
            let hint = address_hint(text, port);
            section.fault(
                key,
                at,
                format_args!("{text:?} is not an address with a port; write {hint:?}"),
            );
        }
    }
    Some(addresses)
}

/// What was probably meant: a port alone, or an address alone.
fn address_hint(text: &str, default: u16) -> String {
    let text = text.trim_start_matches("http://").trim_matches('/');
    if let Ok(port) = text.trim_start_matches([':', '*']).parse::<u16>() {
        return format!("0.0.0.0:{port}");
    }
    match text.parse::<std::net::IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, default).to_string(),
        Err(_) => format!("0.0.0.0:{default}"),
    }
}
