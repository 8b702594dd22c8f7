//! Asks an agent for its snapshot.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, Uri};
use http_body_util::Empty;
use serde::Deserialize;

use super::connect::Target;
use crate::cli::Entry;

const PATH: &str = "/api/v1/snapshot";
/// Longest wait for the whole answer.
const WAIT: Duration = Duration::from_secs(10);
/// Bytes of a refusal that are shown.
const MAX_SAID: usize = 400;

#[derive(Debug, Deserialize)]
struct Document {
    containers: Vec<Container>,
}

/// One container.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Container {
    labels: HashMap<String, String>,
    pub(super) cpu_cores: Option<f64>,
    series: HashMap<String, Option<f64>>,
}

impl Container {
    /// A label's value, `-` without it.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("-", String::as_str)
    }

    /// The value of a series, further labels in braces.
    pub(super) fn value(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied().flatten()
    }

    /// Namespace, pod, container; a container without a name yet has its pod's uid and its own id.
    pub(super) fn name(&self) -> [&str; 3] {
        let or = |name, other| {
            if self.labels.contains_key(name) { self.label(name) } else { self.label(other) }
        };
        [self.label("namespace"), or("pod", "uid"), or("container", "container_id")]
    }

    /// The working set, in bytes.
    pub(super) fn memory(&self) -> Option<f64> {
        self.value("container_memory_working_set_bytes")
    }

    pub(super) fn cpu_of_limit(&self) -> Option<f64> {
        self.value("podmeter_cpu_limit_ratio")
    }

    pub(super) fn memory_of_limit(&self) -> Option<f64> {
        self.value("podmeter_memory_limit_ratio{basis=\"working_set\"}")
    }

    /// CPU or memory against its limit, whichever is nearer.
    pub(super) fn nearest_limit(&self) -> Option<f64> {
        [self.cpu_of_limit(), self.memory_of_limit()].into_iter().flatten().max_by(f64::total_cmp)
    }

    /// The share of bandwidth periods in which the CPU limit was used up, since the container started.
    pub(super) fn throttled(&self) -> Option<f64> {
        let periods =
            self.value("container_cpu_cfs_periods_total").filter(|periods| *periods > 0.0)?;
        Some(self.value("container_cpu_cfs_throttled_periods_total")? / periods)
    }
}

/// The containers of the agent at `base`.
pub(super) async fn containers(base: &Uri, entry: &Entry) -> anyhow::Result<Vec<Container>> {
    let answer = tokio::time::timeout(WAIT, get(base, entry)).await;
    answer.with_context(|| format!("no answer from {base} within {} s", WAIT.as_secs()))?
}

async fn get(base: &Uri, entry: &Entry) -> anyhow::Result<Vec<Container>> {
    let target = Target::of(base, entry)?;
    let url = format!("{}{PATH}", base.to_string().trim_end_matches('/'));
    let mut request = Request::get(url.parse::<Uri>()?.path());
    if let Some(authority) = base.authority() {
        request = request.header(HOST, authority.as_str());
    }
    if let Some(file) = &entry.token_file {
        request = request.header(AUTHORIZATION, bearer(file)?);
    }
    let answer = target.ask(request.body(Empty::new())?).await?;
    let status = answer.status();
    let body = answer.into_body();
    if !status.is_success() {
        bail!(
            "{url} answers {status}: {}",
            String::from_utf8_lossy(&body[..body.len().min(MAX_SAID)]).trim()
        );
    }
    parse(&body).with_context(|| format!("{url} does not answer as an agent does"))
}

/// The header with the token of a file. No error says anything of what the file holds.
fn bearer(file: &Path) -> anyhow::Result<HeaderValue> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the token file {}", file.display()))?;
    let value = HeaderValue::try_from(format!("Bearer {}", text.trim()));
    let mut value = value.ok().filter(|_| !text.trim().is_empty()).with_context(|| {
        format!("the file {} holds no token; write one, on one line", file.display())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The containers of an answer.
pub(super) fn parse(body: &[u8]) -> anyhow::Result<Vec<Container>> {
    Ok(serde_json::from_slice::<Document>(body)?.containers)
}
