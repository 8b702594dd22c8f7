//! The proxy between programs that others wrote: curl, nginx, haproxy, h2load, wrk, slowhttptest, testssl, gRPC and
//! Python's HTTP/2 and WebSocket libraries, as clients, as servers, in front of it and next to it.
//!
//! Run `make tools`, or `tests/setup` once and then `cargo test -p agent --test tools -- NAME`, with names and flags as
//! for libtest. `PODMETER_TEST_BIN` names another binary than cargo's, such as the release build. A case whose tool
//! is not here says `skipped: why` in its line. Everything runs on 127.0.0.0/8 with configurations of its own in a folder
//! that goes with the case; nothing of the system's is used, and everything that is started is ended.
//!
//! Behaviour that a test can show without such programs is in `tests/proxy.rs`.

#![expect(clippy::unwrap_used, reason = "a test that has a main of its own is still a test")]
#![expect(clippy::float_cmp, reason = "what is compared are counts")]

#[expect(dead_code, reason = "other suites use more of it")]
#[path = "support/page.rs"]
mod page;
#[expect(dead_code, reason = "other suites use more of it")]
#[path = "support/podmeter.rs"]
mod podmeter;

// What the cases are made of.
#[path = "tools/curl.rs"]
mod curl;
#[path = "tools/haproxy.rs"]
mod haproxy;
#[path = "tools/nginx.rs"]
mod nginx;
#[path = "tools/program.rs"]
mod program;
#[path = "tools/proxy.rs"]
mod proxy;
#[path = "tools/python.rs"]
mod python;

// The cases.
#[path = "tools/backends.rs"]
mod backends;
#[path = "tools/clients.rs"]
mod clients;
#[path = "tools/floods.rs"]
mod floods;
#[path = "tools/fronts.rs"]
mod fronts;
#[path = "tools/load.rs"]
mod load;
#[path = "tools/reference.rs"]
mod reference;
#[path = "tools/rpc.rs"]
mod rpc;
#[path = "tools/slow.rs"]
mod slow;
#[path = "tools/tls.rs"]
mod tls;
#[path = "tools/websocket.rs"]
mod websocket;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// What a case gives: `Err` is why it cannot be shown here, as a tool is missing.
type Shown = Result<(), String>;

/// A case's name and body. It fails by a panic.
type Case = (&'static str, fn() -> Shown);

/// Most cases wait for something most of their time.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(AT_ONCE));
    let modules = [
        // The longest goes first.
        tls::CASES,
        slow::CASES,
        clients::CASES,
        backends::CASES,
        fronts::CASES,
        reference::CASES,
        load::CASES,
        floods::CASES,
        websocket::CASES,
        rpc::CASES,
    ];
    let cases = modules.into_iter().flatten().copied();
    libtest_mimic::run(&arguments, cases.map(trial).collect()).exit_code()
}

fn trial((name, case): Case) -> Trial {
    Trial::ignorable_test(name, move || match case() {
        Ok(()) => Ok::<_, Failed>(Completion::Completed),
        Err(why) => Ok(Completion::ignored_with(format!("skipped: {why}"))),
    })
}
