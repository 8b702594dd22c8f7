//! The program against a real one-node Kubernetes: what it says must be what the kernel, the kubelet and
//! the API server say, while containers are throttled, restarted, killed, relabelled and deleted.
//!
//! Needs root and the cluster tool: `PODMETER_TEST_CLUSTER`, or `../shared/cluster/cluster` beside the
//! repository. Without them it says so in one line and passes. It brings the cluster up when it is down
//! and leaves it as it found it; all objects live in a namespace of the run. The test image is made from
//! Debian's `busybox-static`, which is installed when it is missing, and of this program, which is the
//! application behind the proxy (see `cluster/app.rs`).
//!
//! `cargo test -p agent --test cluster [FILTER]`

#![expect(clippy::float_cmp, reason = "counts, and values that must be the same to the last bit")]

/// The parts lie in the folder of this name.
mod cluster {
    pub(crate) mod account;
    pub(crate) mod agent;
    pub(crate) mod app;
    pub(crate) mod authority;
    pub(crate) mod cases;
    pub(crate) mod client;
    pub(crate) mod continuity;
    pub(crate) mod image;
    pub(crate) mod kernel;
    pub(crate) mod load;
    pub(crate) mod page;
    pub(crate) mod recorder;
    pub(crate) mod relay;
    pub(crate) mod suite;
    pub(crate) mod tool;
    pub(crate) mod up;
    pub(crate) mod wait;
}

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::cluster::app;
use crate::cluster::cases;
use crate::cluster::suite::Suite;
use crate::cluster::tool::Tool;

/// Cases at once. They mostly wait.
const THREADS: usize = 8;

fn main() -> ExitCode {
    if let Some(delay) = app::wanted() {
        return match app::serve(delay) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("app: {error}");
                ExitCode::FAILURE
            }
        };
    }
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
    match Tool::find() {
        Err(reason) => {
            eprintln!("cluster: skipped: {reason}");
            return ExitCode::SUCCESS;
        }
        Ok(tool) => drop(shared.set(Suite::new(tool))),
    }
    arguments.test_threads.get_or_insert(THREADS);
    let conclusion = libtest_mimic::run(&arguments, trials);
    let suite = Arc::into_inner(shared).and_then(OnceLock::into_inner);
    if let Some(suite) = suite.as_ref().filter(|_| conclusion.has_failed()) {
        eprintln!("cluster: what the agent logged:\n{}", suite.agent.log());
    }
    let pages = suite.map_or(ExitCode::SUCCESS, |suite| judge(&suite));
    if conclusion.has_failed() { conclusion.exit_code() } else { pages }
}

/// What holds for every page of the whole run: well formed, no series twice, no counter went back.
fn judge(suite: &Suite) -> ExitCode {
    let (fault, pages) = suite.recorder.verdict();
    match fault {
        None => {
            eprintln!("cluster: {pages} pages, all well formed");
            ExitCode::SUCCESS
        }
        Some(fault) => {
            eprintln!("cluster: {fault}\n{}", suite.agent.log());
            ExitCode::FAILURE
        }
    }
}
