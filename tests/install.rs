//! Podmeter installed as a user would, by Helm and by plain manifests, on a real one-node Kubernetes: that it
//! comes up with no more rights than it has to have, is read by those who may, is updated without a gap, and goes
//! without a trace.
//!
//! Needs root, the cluster tool (see `cluster.rs`), and Helm and kubectl as `tests/chart/setup` puts them in
//! `target/tools`. Without one of them it says so in one line and passes. The image is made of the program that
//! `PODMETER_TEST_BIN` names, or of the one that cargo built, with the libraries it is linked with. Every case has
//! a namespace of its own, which is the name of all that it installs as well.
//!
//! `cargo test -p agent --test install [FILTER]`

/// What installs and looks, in the folder of this name.
mod install {
    pub(crate) mod cases;
    pub(crate) mod leftovers;
    pub(crate) mod reader;
    pub(crate) mod release;
    pub(crate) mod suite;
    pub(crate) mod tools;
    pub(crate) mod workload;
}

/// Shared with the suite of the program on a cluster.
#[path = "cluster"]
#[expect(dead_code, reason = "the other suite uses more of it")]
mod cluster {
    pub(crate) mod authority;
    pub(crate) mod client;
    pub(crate) mod continuity;
    pub(crate) mod image;
    pub(crate) mod page;
    pub(crate) mod tool;
    pub(crate) mod up;
    pub(crate) mod wait;
}

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::cluster::tool::Tool;
use crate::install::cases;
use crate::install::suite::Suite;
use crate::install::tools::Tools;

/// Cases at once. They mostly wait.
const THREADS: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let shared: Arc<OnceLock<Suite>> = Arc::default();
    let trials: Vec<Trial> = cases::ALL
        .iter()
        .map(|(name, case)| {
            let shared = shared.clone();
            Trial::test(*name, move || {
                case(shared.get().ok_or("the suite is up")?);
                Ok::<(), Failed>(())
            })
        })
        .collect();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    match Tools::find().and_then(|tools| Ok((Tool::find()?, tools))) {
        Err(reason) => {
            eprintln!("install: skipped: {reason}");
            return ExitCode::SUCCESS;
        }
        Ok((tool, tools)) => drop(shared.set(Suite::new(tool, tools))),
    }
    arguments.test_threads.get_or_insert(THREADS);
    libtest_mimic::run(&arguments, trials).exit_code()
}
