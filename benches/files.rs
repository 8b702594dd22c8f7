//! A node of ordinary files: cgroups of version 2 with the texts that a kernel writes, and a `/proc`.
//!
//! Reading them costs a copy from the page cache and none of the kernel's formatting, so what is left of
//! a tick is Podmeter's own work: the strictest thing to compare it with, not the fairest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use collector::pods::index::Index;
use collector::{cgroup, join, sampler};

use super::pods;

const MEMORY_STAT: &str = "anon 183500800\nfile 92274688\nkernel 5242880\nkernel_stack 294912\n\
    pagetables 1499136\nsec_pagetables 0\npercpu 13824\nsock 40960\nvmalloc 0\nshmem 1048576\nzswap 0\n\
    zswapped 0\nfile_mapped 35127296\nfile_dirty 135168\nfile_writeback 0\nswapcached 0\n\
    anon_thp 10485760\nfile_thp 0\nshmem_thp 0\ninactive_anon 184418304\nactive_anon 131072\n\
    inactive_file 61865984\nactive_file 29360128\nunevictable 0\nslab_reclaimable 2359296\n\
    slab_unreclaimable 1015808\nslab 3375104\nworkingset_refault_anon 0\nworkingset_refault_file 123\n\
    workingset_activate_anon 0\nworkingset_activate_file 77\nworkingset_restore_anon 0\n\
    workingset_restore_file 12\nworkingset_nodereclaim 0\npswpin 0\npswpout 0\npgscan 45022\n\
    pgsteal 44980\npgscan_kswapd 40011\npgscan_direct 5011\npgscan_khugepaged 0\npgsteal_kswapd 39980\n\
    pgsteal_direct 5000\npgsteal_khugepaged 0\npgfault 4128391\npgmajfault 412\npgrefill 20332\n\
    pgactivate 51223\npgdeactivate 18332\npglazyfree 0\npglazyfreed 0\nthp_fault_alloc 12\n\
    thp_collapse_alloc 3\n";

const PRESSURE: &str = "some avg10=0.12 avg60=0.08 avg300=0.02 total=83712345\n\
    full avg10=0.00 avg60=0.01 avg300=0.00 total=12371231\n";

const NET: &str = "Inter-|   Receive                                                |  Transmit\n \
    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
    lo: 1832123   12312    0    0    0     0          0         0  1832123   12312    0    0    0     0       0          0\n  \
    eth0: 918273645  812312    0    0    0     0          0         0 128371236  712312    0    0    0     0       0          0\n";

const FILES: [(&str, &str); 16] = [
    (
        "cpu.stat",
        "usage_usec 812736451\nuser_usec 612736451\nsystem_usec 200000000\ncore_sched.force_idle_usec 0\nnr_periods 81231\nnr_throttled 123\nthrottled_usec 8123123\nnr_bursts 0\nburst_usec 0\n",
    ),
    ("cpu.max", "100000 100000\n"),
    ("cpu.weight", "10\n"),
    ("cpu.pressure", PRESSURE),
    ("memory.current", "287309824\n"),
    ("memory.peak", "312309824\n"),
    ("memory.max", "512000000\n"),
    ("memory.high", "max\n"),
    ("memory.swap.current", "0\n"),
    ("memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n"),
    ("memory.stat", MEMORY_STAT),
    ("memory.pressure", PRESSURE),
    (
        "io.stat",
        "8:0 rbytes=81231232 wbytes=41231232 rios=8123 wios=4123 dbytes=0 dios=0\n259:1 rbytes=1231232 wbytes=231232 rios=123 wios=23 dbytes=0 dios=0\n",
    ),
    ("io.pressure", PRESSURE),
    ("pids.current", "37\n"),
    ("pids.max", "4096\n"),
];

/// What is copied of the real `/proc`, where it is there.
const HOST: [&str; 9] = [
    "stat",
    "meminfo",
    "loadavg",
    "vmstat",
    "diskstats",
    "pressure/cpu",
    "pressure/memory",
    "pressure/io",
    "1/net/dev",
];

/// A node of files; it goes when this is dropped.
pub(crate) struct Node {
    directory: tempfile::TempDir,
    /// Its pods.
    pub(crate) index: Arc<Index>,
}

impl Node {
    /// Writes a node of `count` pods.
    pub(crate) fn new(count: usize) -> io::Result<Self> {
        let node = Self { directory: tempfile::tempdir()?, index: pods::index(count) };
        node.write("mountinfo", "")?;
        node.write("cgroup/cgroup.controllers", "cpu io memory pids\n")?;
        for file in HOST {
            if let Ok(text) = fs::read_to_string(Path::new("/proc").join(file)) {
                node.write(&format!("proc/{file}"), &text)?;
            }
        }
        for number in 0..count {
            let pod = format!("kubepods/burstable/pod{}", pods::uid(number));
            let container = format!("{pod}/{}", pods::id(number));
            for cgroup in [&pod, &container] {
                for (name, text) in FILES {
                    node.write(&format!("cgroup/{cgroup}/{name}"), text)?;
                }
            }
            let pid = 100_000 + number;
            node.write(&format!("cgroup/{container}/cgroup.procs"), &format!("{pid}\n"))?;
            node.write(&format!("proc/{pid}/cgroup"), &format!("0::/{container}\n"))?;
            node.write(&format!("proc/{pid}/net/dev"), NET)?;
        }
        Ok(node)
    }

    /// How to sample it.
    pub(crate) fn config(&self) -> sampler::Config {
        sampler::Config {
            cgroup: cgroup::Config {
                root: self.path("cgroup"),
                mountinfo: self.path("mountinfo"),
                subtree: "/".to_owned(),
            },
            proc: self.path("proc"),
            join: join(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.path(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    }
}

/// The join as it is without any setting.
pub(crate) fn join() -> join::Config {
    join::Config {
        node: pods::NODE.into(),
        exclude: globset::GlobSet::empty(),
        foreign: false,
        interval: Duration::from_secs(10),
    }
}
