//! `podmeter check`: what would be collected here, what would not, and why.
//!
//! Every check does the real thing at its smallest: it opens the cgroups, lists the pods, binds the address.
//! A thing is ok, degraded (something is lost, the rest works) or failed (it will not work).

mod access;
mod api;
mod diagnose;
mod kernel;
mod proxy;
mod report;
mod rights;
mod state;

use std::io::{self, Write};
use std::net::SocketAddr;

use anyhow::Context;
use serde::Serialize;

use crate::cli::{Check, Output};
use crate::config::{self, Host};
use crate::{app, logs};

/// Some things will not work. Exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of the things checked will not work")]
pub struct Unworkable {
    /// How many.
    pub failed: usize,
}

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Degraded,
    Failed,
}

/// One thing that was checked.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    /// What it is about.
    what: &'static str,
    state: State,
    /// What was found; when it is not ok, what is lost.
    says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, state: State::Ok, says: says.into(), fix: None }
    }

    fn degraded(what: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, state: State::Degraded, says: says.into(), fix: Some(fix.into()) }
    }

    fn failed(what: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, state: State::Failed, says: says.into(), fix: Some(fix.into()) }
    }
}

/// Checks everything and reports on stdout.
///
/// # Errors
/// Wrong settings; [`Unworkable`] when something failed.
pub fn run(flags: &Check) -> anyhow::Result<()> {
    let settings = config::load(&flags.launch, &Host::here())?;
    // The report says all that the parts would log.
    logs::start(&config::LogSettings { filter: "off".to_owned(), ..settings.log.clone() });
    let file = config::path(&flags.launch)
        .map_or_else(|| "defaults and flags".to_owned(), |path| path.display().to_string());
    let mut findings = vec![Finding::ok(
        "configuration",
        format!(
            "{file}; node {:?}, every {}",
            settings.node,
            humantime::format_duration(settings.interval)
        ),
    )];
    findings.extend(
        settings
            .moved
            .iter()
            .map(|moved| Finding::degraded("configuration", moved.to_string(), moved.fix())),
    );
    findings.extend(kernel::findings(&settings));
    findings.extend(state::findings(&settings));
    app::runtime()?.block_on(async {
        findings.extend(api::findings(&settings).await);
        findings.extend(diagnose::findings(&settings).await);
        findings.extend(listening("listen", &settings.listen, app::LISTEN).await);
        findings.extend(access::findings(&settings).await);
        findings.extend(proxy::findings(&settings).await);
    });
    let text = match flags.output {
        Output::Table => report::table(&findings, logs::has_colours(&io::stdout())),
        Output::Json => report::json(&findings)?,
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // `| head` has seen enough; the exit code still tells the outcome.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.context("cannot write to stdout")?,
    }
    match findings.iter().filter(|finding| finding.state == State::Failed).count() {
        0 => Ok(()),
        failed => Err(Unworkable { failed }.into()),
    }
}

/// Binds each address for a moment; `place` is where another can be written.
async fn listening(what: &'static str, addresses: &[SocketAddr], place: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in addresses {
        findings.push(match app::bind(&[*address], place).await {
            Ok(_) => Finding::ok(what, format!("{address} is free")),
            Err(error) => Finding::failed(what, error.root_cause().to_string(), error.to_string()),
        });
    }
    findings
}
