//! `podmeter once`: one snapshot as Prometheus text on stdout.
//!
//! Without an answer from the API server the series go out under the pods' uids: numbers without names are
//! still numbers. `--strict` turns that into a failure.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use collector::api::health::Health;
use collector::cgroup::file::raise_limit;
use collector::pods::index::Index;
use collector::pods::watch::list;
use collector::sampler::{Metadata, Sampler};
use collector::snapshot::Snapshot;
use tracing::warn;

use crate::cli::Once;
use crate::config::{self, Host, Settings, Source};
use crate::export::prometheus::{Flushing, Format, render};
use crate::{app, logs};

/// Longest wait for the API server.
const WAIT: Duration = Duration::from_secs(10);
/// Between the two samples of `--rates`.
const APART: Duration = Duration::from_secs(1);

/// Samples, prints, ends.
///
/// # Errors
/// Wrong settings, no cgroups, a closed stdout; with `--strict` also an API server that does not answer.
pub fn run(flags: &Once) -> anyhow::Result<()> {
    let settings = config::load(&flags.launch, &Host::here())?;
    logs::start(&settings.log);
    settings.warn_of_moved();
    if let Err(error) = raise_limit() {
        warn!(%error, "cannot raise the limit of open files");
    }
    let metadata = metadata(&settings, flags.strict)?;
    let mut sampler = Sampler::open(settings.sampler(), metadata, Vec::new())?;
    let mut snapshot = sampler.tick(Instant::now(), SystemTime::now());
    if flags.rates {
        drop(snapshot);
        thread::sleep(APART);
        snapshot = sampler.tick(Instant::now(), SystemTime::now());
    }
    print(&snapshot)
}

fn metadata(settings: &Settings, strict: bool) -> anyhow::Result<Metadata> {
    let watching = app::watching(settings)?;
    if settings.source == Source::Standalone {
        return Ok(app::standalone(settings, watching.rules));
    }
    let listed: anyhow::Result<Index> = app::runtime()?.block_on(async {
        let client = app::connect(settings).await?.context("standalone has no API server")?;
        Ok(list(&client, &watching, WAIT).await?)
    });
    let index = match listed {
        Err(error) if strict => return Err(error.context("the pods' names cannot be had")),
        Err(error) => {
            warn!(
                error = format!("{error:#}"),
                "the pods' names cannot be had; series go out under uids"
            );
            Index::default()
        }
        Ok(index) => index,
    };
    // Not as a complete list: then containers that are newer than it would be held back for a later tick,
    // and there is none.
    let (_, index) = tokio::sync::watch::channel(Arc::new(index));
    Ok(Metadata::Watch(index, Arc::new(Health::default())))
}

fn print(snapshot: &Snapshot) -> anyhow::Result<()> {
    let printed = (|| {
        let mut sink = Flushing::new(io::stdout().lock());
        render(snapshot, Format::TEXT, &mut sink)?;
        sink.finish()?.flush()
    })();
    match printed {
        // `| head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("cannot write to stdout"),
    }
}
