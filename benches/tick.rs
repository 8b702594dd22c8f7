//! One tick against the bare reading of the same files, and what its parts cost.
//!
//! Cases: 10, 110 and 500 pods of one container, on this machine's cgroups and on files of version 2.
//! Budget: at most 1.5 times the floor on real cgroups.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use collector::cgroup::mounts::{Controller, Version};
use collector::cgroup::tree::{Bounds, Tree};
use collector::cgroup::{self, Cgroup, Counters, file::Spec, v1, v2};
use collector::faults::ReadErrors;
use collector::pods::index::Index;
use collector::sampler::{self, Metadata, Sampler};
use collector::snapshot::Snapshot;
use collector::{host, network};

use super::clock::{self, Times};
use super::floor::{Floor, open_files};
use super::groups::{self, Groups};
use super::joined;
use super::table::{Row, Table, micros, millis};
use super::{files, pods};

/// Pods of one container each.
pub(crate) const SIZES: [usize; 3] = [10, 110, 500];
/// Of a tick to the floor.
const GOAL: f64 = 1.5;
/// How long each case is measured for.
const BUDGET: Duration = Duration::from_secs(5);
/// Ticks before measuring: so many that absent files are no longer looked for at every one.
const WARM: u32 = 40;

/// A sampler whose clock advances by the usual interval with each tick.
pub(crate) struct Ticking {
    sampler: Sampler,
    start: (Instant, SystemTime),
    ticks: u32,
}

impl Ticking {
    /// Opens it and ticks until all is known.
    pub(crate) fn warm(config: sampler::Config, index: &Arc<Index>) -> anyhow::Result<Self> {
        let sampler = Sampler::open(
            config,
            Metadata::Watch(tokio::sync::watch::channel(Arc::clone(index)).1, Arc::default()),
            Vec::new(),
        )?;
        let mut ticking = Self { sampler, start: (Instant::now(), SystemTime::now()), ticks: 0 };
        (0..WARM).for_each(|_| drop(ticking.tick()));
        Ok(ticking)
    }

    /// One tick.
    pub(crate) fn tick(&mut self) -> Arc<Snapshot> {
        self.ticks += 1;
        let since = Duration::from_secs(10) * self.ticks;
        self.sampler.tick(self.start.0 + since, self.start.1 + since)
    }
}

/// Where the cgroups of a case come from.
pub(crate) enum Node {
    /// This machine.
    Real(Groups),
    /// A directory.
    Files(files::Node),
}

impl Node {
    fn config(&self) -> sampler::Config {
        match self {
            Self::Real(groups) => groups.config(),
            Self::Files(node) => node.config(),
        }
    }

    fn index(&self) -> &Arc<Index> {
        match self {
            Self::Real(groups) => &groups.index,
            Self::Files(node) => &node.index,
        }
    }
}

/// All sizes on one kind of node.
pub(crate) fn run(table: &mut Table, is_real: bool, sizes: &[usize]) -> anyhow::Result<()> {
    for &size in sizes {
        let name = if is_real { "real" } else { "files" };
        eprintln!("tick: {size} pods, {name}");
        let node = if is_real {
            Node::Real(Groups::new(size)?)
        } else {
            Node::Files(files::Node::new(size)?)
        };
        whole(table, &node, size)?;
        if size == 110 {
            parts(table, &node)?;
        }
        if let Node::Real(groups) = &node {
            syscalls(table, groups, size);
        }
    }
    Ok(())
}

fn whole(table: &mut Table, node: &Node, size: usize) -> anyhow::Result<()> {
    let before = open_files()?;
    let mut ticking = Ticking::warm(node.config(), node.index())?;
    let mut floor = Floor::since(&before)?;
    let series = ticking.tick().series();
    let [base, tick] = clock::interleave(
        BUDGET,
        [Box::new(|| floor.read().unwrap_or(f64::NAN)), clock::subject(|| drop(ticking.tick()))],
    );
    let counted = allocation_counter::measure(|| drop(ticking.tick())).count_total;
    let (what, goal) = match node {
        Node::Real(_) => ("this machine's cgroups", Some(GOAL)),
        Node::Files(_) => ("v2 as ordinary files", None),
    };
    table.add(Row {
        case: format!("tick, {size} pods, {what}"),
        result: format!("{} (p90 {})", millis(tick.median()), millis(tick.p90())),
        floor: millis(base.median()),
        ratio: Some(tick.median() / base.median()),
        goal: goal.map(|goal| (format!("≤ {goal} ×"), tick.median() / base.median() <= goal)),
        notes: format!(
            "{series} series; {} files read, {} directories and {} processes watched; {counted} allocations; at 10 s {:.3} % of a core, the floor alone {:.3} %",
            floor.files,
            floor.directories,
            floor.witnesses,
            tick.median() * 10.0,
            base.median() * 10.0,
        ),
    });
    Ok(())
}

/// The parts of a tick, each by itself, in the same rounds.
fn parts(table: &mut Table, node: &Node) -> anyhow::Result<()> {
    let config = node.config();
    let mut errors = ReadErrors::default();
    let mut reader = cgroup::Reader::open(config.cgroup.clone())?;
    reader.tick(&mut errors);
    let mut tree = tree(&reader, &config.cgroup)?;
    let mut changes = Vec::new();
    tree.update(&mut changes, &mut errors);
    let mut texts = texts(&reader);
    let mut node_files = host::Reader::open(&config.proc, "/".as_ref())?;
    let mut interfaces = network::Reader::open(&config.proc)?;
    let fixed = cgroup::Reader::open(config.cgroup.clone()).map(|mut reader| {
        reader.tick(&mut ReadErrors::default());
        reader
    })?;
    let mut process = host::process::Reader::default();
    let mut join = joined::Join::new(reader.cgroups().to_vec(), Arc::clone(node.index()));
    let [mut e1, mut e2, mut e3, mut e4] = [(); 4].map(|()| ReadErrors::default());
    for _ in 0..WARM {
        reader.tick(&mut e1);
        node_files.tick(&mut e2);
        interfaces.tick(&fixed, &|_| true, &mut e3);
        join.join();
    }
    let [read, discovery, parse, network, host, own, joined] = clock::interleave(
        BUDGET,
        [
            clock::subject(|| reader.tick(&mut e1)),
            clock::subject(|| tree.update(&mut changes, &mut e4)),
            clock::subject(|| texts.parse()),
            clock::subject(|| interfaces.tick(&fixed, &|_| true, &mut e3)),
            clock::subject(|| node_files.tick(&mut e2)),
            clock::subject(|| _ = process.tick(Instant::now(), None)),
            clock::subject(|| drop(join.join())),
        ],
    );
    let at = |name: &str, times: &Times, notes: String| Row {
        case: format!("– part: {name}"),
        result: micros(times.median()),
        notes,
        ..Row::default()
    };
    table.add(at("cgroup files with discovery and parsing", &read, String::new()));
    table.add(at("of it discovery", &discovery, "one fstat a directory".to_owned()));
    table.add(at(
        "of it parsing",
        &parse,
        format!("{} texts, {} KiB", texts.list.len(), texts.bytes() / 1024),
    ));
    table.add(at("pods' net/dev and whether their processes live", &network, String::new()));
    table.add(at("the node's files", &host, String::new()));
    table.add(at("this process's own use", &own, String::new()));
    table.add(at("join", &joined, String::new()));
    Ok(())
}

fn tree(reader: &cgroup::Reader, config: &cgroup::Config) -> anyhow::Result<Tree> {
    let hierarchy = reader.hierarchies().next().context("no hierarchy")?;
    let mount = fs::File::open(&hierarchy.mountpoint)?.into();
    Ok(Tree::new(mount, &hierarchy.root, &config.subtree, Bounds::default()))
}

/// The texts of all cgroups' files, to be parsed from memory.
struct Texts {
    list: Vec<(&'static Spec, usize, Vec<u8>)>,
    rows: Vec<Counters>,
}

fn texts(reader: &cgroup::Reader) -> Texts {
    let specs = if reader.version() == Version::V1 { v1::FILES } else { v2::FILES };
    let mut texts = Texts { list: Vec::new(), rows: Vec::new() };
    for (at, row) in reader.cgroups().iter().enumerate() {
        texts.rows.push(Counters::default());
        for spec in specs {
            texts.list.extend(text(reader, row, spec).map(|text| (spec, at, text)));
        }
    }
    texts
}

fn text(reader: &cgroup::Reader, row: &Cgroup, spec: &Spec) -> Option<Vec<u8>> {
    let has = |controllers: &[Controller]| controllers.contains(&spec.controller);
    let hierarchy = reader.hierarchies().find(|hierarchy| has(&hierarchy.controllers))?;
    let directory = hierarchy.mountpoint.join(row.path.trim_matches('/'));
    spec.names.iter().find_map(|name| fs::read(directory.join(name)).ok())
}

impl Texts {
    fn parse(&mut self) {
        self.rows.iter_mut().for_each(|row| row.io.clear());
        for (spec, row, text) in &self.list {
            let _ = std::hint::black_box((spec.fill)(text, &mut self.rows[*row]));
        }
    }

    fn bytes(&self) -> usize {
        self.list.iter().map(|(_, _, text)| text.len()).sum()
    }
}

/// System calls of one tick as strace counts them: those of a run with more ticks less those of one with few.
fn syscalls(table: &mut Table, groups: &Groups, size: usize) {
    const MORE: u32 = 20;
    let counted = traced(groups, size, WARM + MORE)
        .and_then(|more| Ok(more.checked_sub(traced(groups, size, WARM)?)));
    table.add(Row {
        case: format!("– system calls a tick, {size} pods"),
        result: match counted {
            Ok(Some(count)) => format!("{}", count / u64::from(MORE)),
            Ok(None) | Err(_) => "skipped: needs strace".to_owned(),
        },
        ..Row::default()
    });
}

fn traced(groups: &Groups, size: usize, ticks: u32) -> anyhow::Result<u64> {
    let output = Command::new("strace")
        .args(["-f", "-qq", "-c", "-U", "calls,name", "-o", "/dev/stdout"])
        .arg(std::env::current_exe()?)
        .args(["only-ticks", groups.subtree(), &size.to_string(), &ticks.to_string()])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let total = text.lines().find(|line| line.ends_with("total")).context("no total")?;
    Ok(total.split_whitespace().next().context("no number")?.parse()?)
}

/// What strace looks at: ticks and nothing else.
pub(crate) fn only(subtree: &str, size: usize, ticks: u32) -> anyhow::Result<()> {
    let mut ticking = Ticking::warm(groups::config(subtree), &pods::index(size))?;
    (WARM..ticks).for_each(|_| drop(ticking.tick()));
    Ok(())
}
