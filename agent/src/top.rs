//! `podmeter top`: the containers of a running agent as a table, the busiest first.
//!
//! Asks the agent for its latest snapshot and shows it once; numbers and units are kubectl's.

mod ask;
mod connect;
mod table;

use std::io::{self, IsTerminal, Write};

use anyhow::Context;

use crate::cli::{Sort, Top};
use crate::{app, logs};
use ask::Container;
use table::Table;

/// Asks, sorts, prints.
///
/// # Errors
/// When no agent answers, or what answers is not one.
pub fn run(flags: &Top) -> anyhow::Result<()> {
    let mut containers = app::runtime()?.block_on(ask::containers(&flags.url, &flags.entry))?;
    sort(&mut containers, flags.sort);
    let out = io::stdout();
    let width = out
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&out).ok())
        .flatten()
        .map(|size| usize::from(size.ws_col));
    let text =
        Table::new(&containers).render(width.filter(|width| *width > 0), logs::has_colours(&out));
    match out.lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("cannot write to stdout"),
    }
}

/// The highest first; what has no such number comes last, by name.
fn sort(containers: &mut [Container], by: Sort) {
    let value = |container: &Container| match by {
        Sort::Cpu => container.cpu_cores,
        Sort::Mem => container.memory(),
        Sort::Limit => container.nearest_limit(),
    };
    containers.sort_by(|a, b| {
        let highest = value(b).unwrap_or(-1.0).total_cmp(&value(a).unwrap_or(-1.0));
        highest.then_with(|| a.name().cmp(&b.name()))
    });
}

#[cfg(test)]
mod tests;
