//! A snapshot's containers as JSON, for `podmeter top`.
//!
//! Unstable: the shape may change with any release until it is versioned further than its path.
//!
//! `{"node", "taken_unix_seconds", "containers": [{"labels", "pod_labels", "pod_annotations",
//! "cpu_cores", "series"}]}`. Labels have the names they have on the series; the pod's labels and
//! annotations have their keys as written. A series' key is its name, with its further labels in
//! braces where it has some. A value that JSON has no number for, such as NaN, is null.

use std::io;
use std::time::SystemTime;

use collector::labels::{Label, LabelSet, Origin};
use collector::schema::{Id, Scope};
use collector::snapshot::{Entity, Point, Snapshot};
use serde::{Serialize, Serializer};

use crate::export::prometheus::series_name;

#[derive(Serialize)]
struct Document<'a> {
    node: &'a str,
    taken_unix_seconds: f64,
    containers: Vec<Container<'a>>,
}

#[derive(Serialize)]
struct Container<'a> {
    labels: Labels<'a>,
    pod_labels: Labels<'a>,
    pod_annotations: Labels<'a>,
    cpu_cores: Option<f64>,
    #[serde(serialize_with = "series")]
    series: Vec<(Id, &'a Point)>,
}

/// Those of one origin.
struct Labels<'a> {
    set: &'a LabelSet,
    origin: Origin,
}

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let labels = self.set.labels().iter().filter(|label| label.origin == self.origin);
        serializer.collect_map(labels.map(|Label { key, value, .. }| (&**key, &**value)))
    }
}

fn series<S: Serializer>(points: &Vec<(Id, &Point)>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        points.iter().map(|(id, point)| {
            (series_name(id.metric().name, point.extra.as_deref()), point.value)
        }),
    )
}

/// Writes the document.
pub(super) fn write(snapshot: &Snapshot, out: &mut impl io::Write) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &document(snapshot))?)
}

fn document(snapshot: &Snapshot) -> Document<'_> {
    let mut containers = Vec::new();
    let places: Vec<Option<usize>> = snapshot
        .entities()
        .iter()
        .map(|entity| {
            (entity.scope == Scope::Container).then(|| {
                containers.push(container(entity));
                containers.len() - 1
            })
        })
        .collect();
    for id in Id::all().filter(|id| id.metric().scope == Scope::Container) {
        for point in snapshot.points(id) {
            if let Some(Some(place)) = places.get(point.entity as usize) {
                containers[*place].series.push((id, point));
            }
        }
    }
    let taken_unix_seconds =
        snapshot.taken().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let node = snapshot
        .entities()
        .iter()
        .find_map(|entity| entity.labels.value("node"))
        .unwrap_or_default();
    Document { node, taken_unix_seconds, containers }
}

fn container(entity: &Entity) -> Container<'_> {
    let labels = |origin| Labels { set: &entity.labels, origin };
    Container {
        labels: labels(Origin::Own),
        pod_labels: labels(Origin::PodLabel),
        pod_annotations: labels(Origin::PodAnnotation),
        cpu_cores: entity.cpu_cores,
        series: Vec::new(),
    }
}
