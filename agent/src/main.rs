//! Entry point: parse, load, run, turn the outcome into an exit code. Decisions live elsewhere.

use std::process::ExitCode;

use agent::cli::{Cli, Command};
use agent::{app, check, demo, exit, once, top};
fn main() -> ExitCode {
    match run(&Cli::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The one place that prints an error chain; everything below returns it.
            eprintln!("error: {error:#}");
            exit::code_for(&error)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.command {
        Command::Run(launch) => app::run(launch),
        Command::Once(flags) => once::run(flags),
        Command::Check(flags) => check::run(flags),
        Command::Demo(flags) => demo::run(flags),
        Command::Top(flags) => top::run(flags),
        Command::DemoWorker(worker) => demo::worker::run(worker),
    }
}
