//! The join by itself, on rows that change as a node's do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use collector::cgroup::{Cgroup, PodUid};
use collector::host::Counters;
use collector::join::{Input, Joiner, Observed};
use collector::network::Interface;
use collector::pods::index::Index;
use collector::snapshot::Snapshot;

use super::clock;
use super::files;
use super::table::{Row, Table, micros};

/// A joiner with its inputs.
pub(crate) struct Join {
    joiner: Joiner,
    rows: Vec<Cgroup>,
    index: Arc<Index>,
    host: Counters,
    interfaces: Vec<Interface>,
    devices: HashMap<(u32, u32), Arc<str>>,
    observed: Observed,
    start: (Instant, SystemTime),
    ticks: u32,
}

impl Join {
    /// Takes rows as a reader gives them.
    pub(crate) fn new(rows: Vec<Cgroup>, index: Arc<Index>) -> Self {
        let interface = Interface {
            name: "eth0".into(),
            receive_bytes: 918_273_645,
            receive_packets: 812_312,
            transmit_bytes: 128_371_236,
            transmit_packets: 712_312,
            ..Interface::default()
        };
        Self {
            joiner: Joiner::new(files::join(), Vec::new()),
            devices: rows
                .iter()
                .flat_map(|row| &row.counters.io)
                .map(|io| (io.device, format!("/dev/nvme{}n1", io.device.1).into()))
                .collect(),
            rows,
            index,
            host: Counters::default(),
            interfaces: vec![interface],
            observed: Observed::new("v2"),
            start: (Instant::now(), SystemTime::now()),
            ticks: 0,
        }
    }

    /// One tick: every counter has grown a little.
    pub(crate) fn join(&mut self) -> Arc<Snapshot> {
        self.ticks += 1;
        let since = Duration::from_secs(10) * self.ticks;
        for row in &mut self.rows {
            let grown = row.counters.cpu.usage.unwrap_or_default() + Duration::from_micros(123_457);
            row.counters.cpu.usage = Some(grown);
        }
        let interfaces = |_: PodUid| self.interfaces.as_slice();
        self.joiner.join(&Input {
            now: self.start.0 + since,
            at: self.start.1 + since,
            cgroups: &self.rows,
            index: &self.index,
            synced: true,
            host: &self.host,
            interfaces: &interfaces,
            devices: &self.devices,
            known: &collector::diagnose::reason::Known::new(),
            observed: &self.observed,
        })
    }
}

/// The rows of a node of files.
pub(crate) fn rows(count: usize) -> anyhow::Result<(Vec<Cgroup>, Arc<Index>)> {
    let node = files::Node::new(count)?;
    let mut reader = collector::cgroup::Reader::open(node.config().cgroup)?;
    reader.tick(&mut collector::faults::ReadErrors::default());
    Ok((reader.cgroups().to_vec(), Arc::clone(&node.index)))
}

/// Sizes of the join.
pub(crate) fn run(table: &mut Table, sizes: &[usize]) -> anyhow::Result<()> {
    for &size in sizes {
        eprintln!("join: {size} pods");
        let (rows, index) = rows(size)?;
        let mut join = Join::new(rows, index);
        let series = (0..100).map(|_| join.join().series()).last().unwrap_or(0);
        let [times] =
            clock::interleave(Duration::from_secs(2), [clock::subject(|| drop(join.join()))]);
        table.add(Row {
            case: format!("join, {size} pods, v2"),
            result: format!("{} (p90 {})", micros(times.median()), micros(times.p90())),
            notes: format!("{series} series, {:.0} ns each", times.median() * 1e9 / series as f64),
            ..Row::default()
        });
    }
    Ok(())
}
