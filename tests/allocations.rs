//! What a tick allocates once everything is known: the same, however many containers there are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../benches/files.rs"]
mod files;
#[path = "../benches/pods.rs"]
#[allow(dead_code, reason = "the benches use more of it")]
mod pods;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use collector::sampler::{Metadata, Sampler};

/// Ticks until nothing is new: the longest history of a trend and the longest wait for an absent file.
const WARM: u32 = 70;
/// Ticks measured: a whole round of everything that is done only every so many ticks.
const MEASURED: u32 = 32;

/// Allocations of [`MEASURED`] ticks on a node of so many pods.
fn allocations(pods: usize) -> u64 {
    let node = files::Node::new(pods).unwrap();
    let mut sampler = Sampler::open(
        node.config(),
        Metadata::Watch(tokio::sync::watch::channel(Arc::clone(&node.index)).1, Arc::default()),
        Vec::new(),
    )
    .unwrap();
    let (start, at) = (Instant::now(), SystemTime::now());
    let mut tick = |number: u32| {
        let since = Duration::from_secs(10) * number;
        sampler.tick(start + since, at + since)
    };
    let snapshot = (0..WARM).map(&mut tick).last().unwrap();
    assert!(snapshot.series() > pods * 50, "the containers are there: {}", snapshot.series());
    drop(snapshot);
    allocation_counter::measure(|| (WARM..WARM + MEASURED).for_each(|number| drop(tick(number))))
        .count_total
}

#[test]
fn steady_tick_allocates_the_same_for_any_number_of_containers() {
    let (few, many) = (allocations(20), allocations(120));
    assert_eq!(many, few, "allocations in {MEASURED} ticks with 120 and with 20 pods");
    assert!(few < 40 * u64::from(MEASURED), "{few} in {MEASURED} ticks");
}
