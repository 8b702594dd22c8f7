//! The real binary on real kernels: every value that it exposes of a cgroup against the kernel's own file,
//! read around it. Cases: CPU, throttling, memory, OOM kills, pressure, block I/O, tasks, discovery,
//! hierarchies, network and permissions.
//!
//! The same cases run on this machine's kernel (cgroup v1 or v2, whichever it has) and, where a tool that
//! boots guests is found (see `kernel/guest.rs`), in a guest with cgroup v2. They need root and writable cgroups; where there
//! are none, one line says so and the suite passes. This program is its own workload: see `kernel/worker.rs`.

#![expect(clippy::unwrap_used, reason = "a test that has a main of its own is still a test")]
#![expect(
    clippy::unnecessary_wraps,
    reason = "cases share one signature; most kernels show most of them"
)]

#[path = "kernel/blkio.rs"]
mod blkio;
#[path = "support/cgroups.rs"]
mod cgroups;
#[path = "kernel/cpu.rs"]
mod cpu;
#[path = "kernel/discovery.rs"]
mod discovery;
#[path = "kernel/guest.rs"]
mod guest;
#[path = "kernel/hierarchies.rs"]
mod hierarchies;
#[path = "kernel/memory.rs"]
mod memory;
#[path = "kernel/network.rs"]
mod network;
#[path = "kernel/oom.rs"]
mod oom;
#[path = "support/page.rs"]
mod page;
#[path = "support/podmeter.rs"]
mod podmeter;
#[path = "kernel/pods.rs"]
mod pods;
#[path = "kernel/pressure.rs"]
mod pressure;
#[path = "kernel/tasks.rs"]
mod tasks;
#[path = "kernel/truth.rs"]
mod truth;
#[path = "kernel/worker.rs"]
mod worker;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use page::Page;

/// What a case gives: `Err` is why this kernel cannot show it.
type Shown = Result<(), String>;

/// A case's name and body.
type Case = (&'static str, fn() -> Shown);

fn main() -> ExitCode {
    if worker::is_wanted() {
        return match worker::work() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("worker: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut trials = Vec::new();
    match cgroups::obstacle() {
        Some(why) => eprintln!("kernel: skipped on this machine's kernel: {why}"),
        None => trials.extend(cases().map(trial)),
    }
    if !guest::is_here() {
        trials.push(Trial::ignorable_test("cgroup_v2_guest", || Ok(guest::run())));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn cases() -> impl Iterator<Item = Case> {
    let modules = [
        cpu::CASES,
        memory::CASES,
        oom::CASES,
        pressure::CASES,
        blkio::CASES,
        tasks::CASES,
        discovery::CASES,
        hierarchies::CASES,
        network::CASES,
    ];
    modules.into_iter().flatten().copied()
}

fn trial((name, case): Case) -> Trial {
    Trial::ignorable_test(name, move || match case() {
        Ok(()) => Ok::<_, Failed>(Completion::Completed),
        Err(why) => Ok(Completion::ignored_with(why)),
    })
}

/// One page of `podmeter once`, limited to what a test made.
fn once(tree: &cgroups::Tree) -> Page {
    let config = Config::new(tree);
    podmeter::page(podmeter::command().args(["once", "--standalone", "--config", config.path()]))
}

/// A running agent, limited to what a test made.
fn run(tree: &cgroups::Tree) -> podmeter::Agent {
    let config = Config::new(tree);
    podmeter::Agent::start(&["--standalone", "--interval", "1s", "--config", config.path()])
}

/// A configuration file that limits podmeter to a test's part of the hierarchies.
struct Config(tempfile::NamedTempFile);

impl Config {
    fn new(tree: &cgroups::Tree) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            format!("node: kernel\ncgroup:\n  subtree: {}\n", tree.subtree()),
        )
        .unwrap();
        Self(file)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}
