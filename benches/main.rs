//! Podmeter's figures: what it costs, each against a floor measured in the same run.
//!
//! `benches/run` runs all cases and keeps their table in `benches/README.md`; `benches/run <case>` runs one.

#![expect(clippy::print_stdout, reason = "the table is the result")]

mod binary;
mod clock;
mod exposition;
mod files;
mod floor;
mod groups;
mod joined;
mod peers;
mod pods;
mod table;
mod tick;

use std::process::ExitCode;

use anyhow::bail;

use table::{Row, Table};

const CASES: [&str; 5] = ["tick", "tick-files", "join", "export", "binary"];

fn main() -> ExitCode {
    // Cargo adds a flag of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match run(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> anyhow::Result<()> {
    // Each cgroup keeps 17 files open, a pod has two cgroups here, and there are up to 500 pods.
    collector::cgroup::file::raise_limit()?;
    if words == ["only-floor"] {
        return floor::serve();
    }
    if let ["only-ticks", subtree, size, ticks] = words {
        return tick::only(subtree, size.parse()?, ticks.parse()?);
    }
    groups::remove_leftovers()?;
    if words == ["clean"] {
        return Ok(());
    }
    groups::clean_on_signal()?;
    let (cases, size) = match words {
        [] | ["all"] => (CASES.to_vec(), None),
        [case] => (vec![*case], None),
        [case, size] => (vec![*case], Some(size.parse()?)),
        _ => bail!("one case and one size at most"),
    };
    let mut table = Table::default();
    for case in cases {
        one(&mut table, case, size)?;
    }
    print!("{}", table.markdown());
    Ok(())
}

fn one(table: &mut Table, case: &str, size: Option<usize>) -> anyhow::Result<()> {
    let sizes = size.map_or(tick::SIZES.to_vec(), |size| vec![size]);
    match case {
        "tick" | "binary" if groups::obstacle().is_some() => table.add(Row {
            case: case.to_owned(),
            result: format!("skipped: {}", groups::obstacle().unwrap_or_default()),
            ..Row::default()
        }),
        "tick" => tick::run(table, true, &sizes)?,
        "tick-files" => tick::run(table, false, &sizes)?,
        "join" => joined::run(table, &sizes)?,
        "export" => exposition::run(table)?,
        "binary" => binary::run(table)?,
        _ => bail!("no case {case}; there are {}", CASES.join(", ")),
    }
    Ok(())
}
