//! Pods that are stuck and how long others took to start.

use super::*;
use crate::diagnose::stuck::tests::waiting;
use crate::diagnose::{Diagnosis, Reason};

/// Value and extra labels of a family with one sample at most.
fn only(snapshot: &Snapshot, series: Series, labels: &[&str]) -> Option<(f64, Vec<String>)> {
    let points = snapshot.points(series.into());
    assert!(points.len() <= 1, "{points:?}");
    let point = points.first()?;
    let extra = point.extra.as_ref().unwrap();
    Some((point.value, labels.iter().map(|label| extra.value(label).unwrap().to_owned()).collect()))
}

fn stuck(snapshot: &Snapshot) -> Option<(f64, Vec<String>)> {
    only(snapshot, Series::PodStuck, &["reason", "detail"])
}

fn said(seconds: f64, reason: &str, detail: &str) -> (f64, Vec<String>) {
    (seconds, vec![reason.to_owned(), detail.to_owned()])
}

/// The pods are scheduled at 100 s; a tick takes 10 s.
fn at(world: &mut World, seconds: u32) -> Arc<Snapshot> {
    world.ticks = seconds / 10 - 1;
    world.tick()
}

#[test]
fn stuck_pod_has_a_series_as_long_as_it_is_stuck() {
    let pod = waiting("ContainerCreating", "");
    let mut world = World::new(vec![pod.clone()]);
    assert_eq!(stuck(&at(&mut world, 110)), None);
    let unknown = said(20.0, "unknown", "container main waits: ContainerCreating");
    assert_eq!(stuck(&at(&mut world, 120)), Some(unknown));

    world.known.insert(pod.uid, Diagnosis::new(Reason::Network, "cni says no"));
    assert_eq!(stuck(&at(&mut world, 130)), Some(said(30.0, "network", "cni says no")));

    // Its status says all now, so what was asked before does not count any more.
    world.pods(vec![waiting("CreateContainerConfigError", "secret \"db\" not found")]);
    let missing = said(40.0, "secret_missing", "container main: Secret shop/db does not exist");
    assert_eq!(stuck(&at(&mut world, 140)), Some(missing));
    world.pods(vec![]);
    assert_eq!(stuck(&at(&mut world, 150)), None);
}

#[test]
fn startup_is_told_by_revision_and_ends_with_the_pod() {
    let mut pod = super::pod(1, "web", vec![]);
    pod.startup = Startup::Took(Duration::from_secs(7));
    pod.revision = Some("7d4b9c".into());
    let mut world = World::new(vec![pod]);
    let startup = |snapshot: &Snapshot| only(snapshot, Series::PodStartup, &["revision"]);
    assert_eq!(startup(&world.tick()), Some((7.0, vec!["7d4b9c".to_owned()])));
    world.pods(vec![super::pod(2, "api", vec![])]);
    assert_eq!(startup(&world.tick()), None, "not known");
}
