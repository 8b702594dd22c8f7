//! What the sampling thread does so that an update is not seen in its series: it goes on from what the process
//! before kept, and takes its first tick when the pods are known.

use std::sync::Arc;
use std::time::Duration;

use collector::api::health::{Feed, Health};
use collector::sampler::Sampler;
use collector::snapshot::{Contribute, Snapshot};
use collector::state::folder::Folder;
use collector::state::format::Place;
use collector::state::keeper::{Desk, Keeper};

use crate::config::Settings;
use crate::tasks::{Stage, Tasks};
use crate::tick::Wanted;

/// The keeper's stack: it reads and writes one JSON document of few levels.
const STACK: usize = 256 * 1024;
/// Between two looks at the feeds; only before the first tick.
const LOOK: Duration = Duration::from_millis(5);

/// Reads what was kept, and starts who keeps; `None` if nothing is to be kept.
///
/// # Errors
/// When the kernel gives no thread.
pub(super) fn start(
    settings: &Settings,
    tasks: &mut Tasks,
    contributors: &mut Vec<Box<dyn Contribute>>,
) -> anyhow::Result<Option<Desk>> {
    let Some(path) = &settings.state else { return Ok(None) };
    let place = Place::here(&settings.node, &settings.proc);
    let (keeper, desk, stats) = Keeper::open(Folder::new(path), place);
    contributors.push(Box::new(stats));
    tasks.start_thread(Stage::Keep, "state keeper", STACK, move |stop| Ok(keeper.block(&stop)?))?;
    Ok(Some(desk))
}

/// A tick of `sampler` between what was found at the desk and what is left there.
pub(super) fn around(
    desk: Option<&Desk>,
    sampler: &mut Sampler,
    tick: impl FnOnce(&mut Sampler) -> Arc<Snapshot>,
) -> Arc<Snapshot> {
    let Some(desk) = desk else { return tick(sampler) };
    if let Some(kept) = desk.found() {
        sampler.resume(kept);
    }
    let snapshot = tick(sampler);
    desk.put(sampler.keep());
    snapshot
}

/// Until everything that series' names are made of was listed once.
pub(super) fn listed(settings: &Settings, health: Arc<Health>) -> Wanted {
    let mut feeds = vec![Feed::Pods, Feed::Node];
    if !settings.labels.namespace_labels.include.is_empty() {
        feeds.push(Feed::Namespaces);
    }
    Box::pin(async move {
        // The index is published a moment before its feed counts as listed, so there is nothing to be woken by.
        while !feeds.iter().all(|feed| health.is_synced(*feed)) {
            tokio::time::sleep(LOOK).await;
        }
    })
}
