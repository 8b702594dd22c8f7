//! The proxy's figures: Podmeter, nginx and HAProxy in front of the same two backends, in one run.
//!
//! `benches/proxy/run` runs all cases and keeps their table in `benches/README.md`; with a case's name, that one.
//! Budget: at least nginx's requests a second and no worse p99, on the same two cores, while it measures every pod.

#![expect(clippy::print_stdout, reason = "the table is the result")]

mod calls;
mod cases;
mod client;
mod crowd;
mod errors;
mod haproxy;
mod nginx;
mod paced;
mod plan;
mod podmeter;
mod process;
mod profile;
mod proof;
mod setup;
mod site;
mod table;
mod wrk;

use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

use cases::Cases;
use plan::Plan;
use setup::{HAPROXY, NGINX, PODMETER, Setup};
use table::Table;

const CASES: [&str; 5] = ["saturation", "connections", "paced", "crowds", "profile"];

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
    let known = |case: &&str| CASES.contains(case);
    let (cases, subject) = match words {
        [] | ["all"] => (CASES.to_vec(), None),
        ["check"] => (Vec::new(), None),
        ["profile", subject] => (vec!["profile"], Some(*subject)),
        [case] if known(case) => (vec![*case], None),
        _ => bail!("no such case; there are check, {}", CASES.join(", ")),
    };
    let plan = Plan::from_environment()?;
    collector::cgroup::file::raise_limit()?;
    proof::check()?;
    let setup = Setup::start()?;
    let cipher = setup.check()?;
    let mut table = Table::default();
    let profiles = measure(&setup, &plan, &mut table, &cases, subject)?;
    // Whatever happened in between, all of them still serve every byte of every page.
    setup.check()?;
    if cases.is_empty() {
        eprintln!("all serve every page as it is; {cipher}");
        return Ok(());
    }
    table.notes.push(format!("{}; TLS 1.3, ECDSA P-256, {cipher}.", versions()?));
    if let Some((measured, answered)) = setup.measured()? {
        table.notes.push(format!(
            "Podmeter's own series count {measured} requests; {answered} answers came to the clients that waited for them."
        ));
    } else {
        table.notes.push("Podmeter was left out of this run.".to_owned());
    }
    print!("{}{profiles}", table.markdown());
    Ok(())
}

fn measure(
    setup: &Setup,
    plan: &Plan,
    table: &mut Table,
    names: &[&str],
    subject: Option<&str>,
) -> anyhow::Result<String> {
    let mut cases = Cases::new(setup, *plan, table);
    let mut profiles = String::new();
    for name in names {
        match *name {
            "saturation" => cases.saturation()?,
            "connections" => cases.connections()?,
            "paced" => cases.paced()?,
            "crowds" => cases.crowds()?,
            _ => {
                // Without Podmeter nginx shows that it works.
                let subject = subject.unwrap_or(PODMETER);
                let contender = setup.contender(subject).or_else(|| setup.contender(NGINX));
                let contender = contender.context("nginx takes part in every run")?;
                eprintln!("profile of {}", contender.name);
                let profile = profile::run(setup, plan, contender)?;
                profiles = format!("\n{profile}\n{}", calls::run(setup)?);
            }
        }
    }
    if names.contains(&"saturation") {
        cases.memory();
    }
    Ok(profiles)
}

/// What is compared with what.
fn versions() -> anyhow::Result<String> {
    let said = |program: &str| -> anyhow::Result<String> {
        let output = Command::new(program).arg("-v").output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
    };
    let word = |text: &str, at| text.split_whitespace().nth(at).unwrap_or_default().to_owned();
    let nginx = word(&said("nginx")?, 2).replace('/', " ");
    let (haproxy, wrk) = (word(&said("haproxy")?, 2), word(&said("wrk")?, 1));
    Ok(format!("{nginx}, {HAPROXY} {haproxy}, wrk {wrk}"))
}
