//! One tick, joined: all that an exporter sees.
//!
//! Columns by series family, since every exposition format wants the samples of a family together.
//! A snapshot is immutable once published; the joiner takes its buffers back when the last reader
//! has let go, so that a steady state allocates nothing.

use std::sync::Arc;
use std::time::SystemTime;

use crate::histogram::Histogram;
use crate::labels::LabelSet;
use crate::schema::{self, Id};

/// Something that has series: a container, a pod, the node, Podmeter itself.
#[derive(Clone, Debug)]
pub struct Entity {
    /// What it is.
    pub scope: schema::Scope,
    /// The labels that all its series carry.
    pub labels: Arc<LabelSet>,
    /// When its counters began at 0; a new incarnation has a new one.
    pub start: Option<SystemTime>,
    /// CPU in use since the tick before, in cores, for views that show a rate.
    pub cpu_cores: Option<f64>,
}

/// One sample.
#[derive(Clone, Debug)]
pub struct Point {
    /// Which entity, an index into [`Snapshot::entities`].
    pub entity: u32,
    /// Labels beside the entity's, such as `interface`.
    pub extra: Option<Arc<LabelSet>>,
    /// The value.
    pub value: f64,
}

/// One histogram sample.
#[derive(Clone, Debug)]
pub struct HistogramPoint {
    /// Which entity, an index into [`Snapshot::entities`].
    pub entity: u32,
    /// Labels beside the entity's.
    pub extra: Option<Arc<LabelSet>>,
    /// The counts.
    pub value: Arc<Histogram>,
}

/// Everything known at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    taken: SystemTime,
    entities: Vec<Entity>,
    columns: Vec<Vec<Point>>,
    histograms: Vec<Vec<HistogramPoint>>,
    /// Families that are left out, by their place in the table; empty for none.
    excluded: Arc<[bool]>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            taken: SystemTime::UNIX_EPOCH,
            entities: Vec::new(),
            columns: vec![Vec::new(); schema::COUNT],
            histograms: vec![Vec::new(); schema::COUNT],
            excluded: Arc::default(),
        }
    }
}

impl Snapshot {
    /// An empty one that leaves out what is added to the `excluded` families, by their place in the table.
    #[must_use]
    pub fn excluding(excluded: &Arc<[bool]>) -> Self {
        Self { excluded: excluded.clone(), ..Self::default() }
    }

    /// When the counters were read.
    #[must_use]
    pub fn taken(&self) -> SystemTime {
        self.taken
    }

    /// All entities.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// The samples of one family.
    #[must_use]
    pub fn points(&self, id: Id) -> &[Point] {
        &self.columns[id.index()]
    }

    /// The histogram samples of one family.
    #[must_use]
    pub fn histograms(&self, id: Id) -> &[HistogramPoint] {
        &self.histograms[id.index()]
    }

    /// How many series: a histogram counts once.
    #[must_use]
    pub fn series(&self) -> usize {
        let points = self.columns.iter().map(Vec::len).sum::<usize>();
        points + self.histograms.iter().map(Vec::len).sum::<usize>()
    }

    /// Empties it for a new tick, keeping the buffers.
    pub fn reset(&mut self, taken: SystemTime) {
        self.taken = taken;
        self.entities.clear();
        self.columns.iter_mut().for_each(Vec::clear);
        self.histograms.iter_mut().for_each(Vec::clear);
    }

    /// Adds an entity and says which it is.
    pub fn add_entity(&mut self, entity: Entity) -> u32 {
        let at = u32::try_from(self.entities.len()).unwrap_or(u32::MAX);
        self.entities.push(entity);
        at
    }

    /// Adds a sample.
    pub fn add(&mut self, id: Id, entity: u32, extra: Option<Arc<LabelSet>>, value: f64) {
        if !self.is_excluded(id) {
            self.columns[id.index()].push(Point { entity, extra, value });
        }
    }

    /// Adds a histogram sample.
    pub fn add_histogram(
        &mut self,
        id: Id,
        entity: u32,
        extra: Option<Arc<LabelSet>>,
        value: Arc<Histogram>,
    ) {
        if !self.is_excluded(id) {
            self.histograms[id.index()].push(HistogramPoint { entity, extra, value });
        }
    }

    fn is_excluded(&self, id: Id) -> bool {
        self.excluded.get(id.index()).is_some_and(|excluded| *excluded)
    }

    /// An entity, to complete it after it was added.
    pub fn entity_mut(&mut self, entity: u32) -> Option<&mut Entity> {
        self.entities.get_mut(entity as usize)
    }
}

/// Something that observes itself and adds its series to each snapshot, such as the HTTP server.
pub trait Contribute: Send {
    /// Adds series about `agent`, the entity of Podmeter itself. Called once a tick on the sampling
    /// thread: it must not block and, in a steady state, not allocate much.
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32);
}
