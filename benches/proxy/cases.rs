//! The cases: in each round every contender has its turn, so that a busy moment slows all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;

use super::crowd::{Crowd, Kind};
use super::errors::Errors;
use super::paced::{self, Pace};
use super::plan::{CONNECTIONS, CROWD, PART, Plan, Windows};
use super::setup::{Contender, DIRECT, NGINX, Setup, Used};
use super::site::{LARGE, Page, SMALL};
use super::table::{Goal, Rounds, Row, Table, count, median, mib, millis, seconds};
use super::wrk;

/// Before each paced turn; not measured.
const WARM: Duration = Duration::from_millis(300);
/// CPU seconds are told for so many requests.
const LOT: f64 = 100_000.0;

/// What all cases need and what one case finds out for the next.
pub(crate) struct Cases<'a> {
    setup: &'a Setup,
    plan: Plan,
    table: &'a mut Table,
    /// Requests a second that nginx answers at saturation, plain and over TLS.
    nginx: [Option<f64>; 2],
    memory: Rounds,
}

/// One figure of every turn of a case, gathered as it comes.
#[derive(Default)]
struct Gathered {
    figures: Vec<Rounds>,
    errors: BTreeMap<&'static str, Errors>,
}

impl Gathered {
    fn add<const N: usize>(&mut self, name: &'static str, values: [f64; N], errors: Errors) {
        self.figures.resize_with(N.max(self.figures.len()), Rounds::default);
        for (rounds, value) in self.figures.iter_mut().zip(values) {
            // Of the floor's processes nothing is known.
            if !value.is_nan() {
                rounds.entry(name).or_default().push(value);
            }
        }
        *self.errors.entry(name).or_default() += errors;
    }
}

impl<'a> Cases<'a> {
    /// None done yet.
    pub(crate) fn new(setup: &'a Setup, plan: Plan, table: &'a mut Table) -> Self {
        Self { setup, plan, table, nginx: [None; 2], memory: Rounds::default() }
    }

    /// As many requests a second as go, over kept connections.
    pub(crate) fn saturation(&mut self) -> anyhow::Result<()> {
        for (page, is_secure) in [(SMALL, false), (SMALL, true), (LARGE, false), (LARGE, true)] {
            let windows = self.plan.saturation;
            let case = format!("{}, {}: requests/s", page.name, scheme(is_secure));
            let rounds = self.flat_out(&case, (page, is_secure, true), windows)?;
            if page.size == SMALL.size {
                self.nginx[usize::from(is_secure)] =
                    rounds.get(NGINX).and_then(|values| median(values));
            }
        }
        Ok(())
    }

    /// The same with a connection for each request, and over TLS a whole handshake.
    pub(crate) fn connections(&mut self) -> anyhow::Result<()> {
        for is_secure in [false, true] {
            let case = format!("1 KiB, {}, a new connection each: requests/s", scheme(is_secure));
            self.flat_out(&case, (SMALL, is_secure, false), self.plan.connections)?;
        }
        Ok(())
    }

    fn flat_out(
        &mut self,
        case: &str,
        (page, is_secure, is_kept): (Page, bool, bool),
        windows: Windows,
    ) -> anyhow::Result<Rounds> {
        eprintln!("{case}");
        let mut gathered = Gathered::default();
        for round in 0..windows.rounds {
            for contender in &self.setup.contenders {
                // Once is enough to see that it is not the limit.
                if contender.name == DIRECT && round > 0 {
                    continue;
                }
                let target = self.setup.target(contender, is_secure, page);
                let (outcome, used) = contender.during(|| {
                    wrk::run(&target, is_kept, windows.seconds, self.setup.directory())
                })?;
                contender.count(outcome.answered);
                self.memory.entry(contender.name).or_default().push(used.memory);
                let cost = cost(contender, used, outcome.answered);
                gathered.add(contender.name, [outcome.rate, cost], outcome.errors);
            }
        }
        let [rates, costs] = take(gathered.figures)?;
        self.table.add(&Row {
            case: case.to_owned(),
            rounds: rates.clone(),
            show: count,
            goal: Some(Goal::AtLeast),
            errors: Some(gathered.errors),
        });
        self.row("– CPU for 100,000 requests", costs, seconds, None);
        Ok(rates)
    }

    /// Latencies at a fixed rate.
    pub(crate) fn paced(&mut self) -> anyhow::Result<()> {
        for is_secure in [false, true] {
            let rate = self.rate(is_secure)?;
            let case = format!("1 KiB, {}, {} requests/s", scheme(is_secure), count(rate));
            eprintln!("{case}");
            let windows = self.plan.paced;
            let mut gathered = Gathered::default();
            for contender in (0..windows.rounds).flat_map(|_| &self.setup.contenders) {
                let (outcome, used) = self.pace(contender, is_secure, rate, windows)?;
                self.memory.entry(contender.name).or_default().push(used.memory);
                let [p50, p99, p999] = quantiles(&outcome);
                let cost = cost(contender, used, outcome.answered);
                gathered.add(contender.name, [p50, p99, p999, cost], outcome.errors);
            }
            let [p50, p99, p999, costs] = take(gathered.figures)?;
            self.latency(&case, "p50", p50, None);
            self.latency(&case, "p99", p99, Some(gathered.errors));
            self.latency(&case, "p99.9", p999, None);
            self.row("– CPU for 100,000 requests", costs, seconds, None);
        }
        Ok(())
    }

    /// Latencies at the same rate, and memory, beside a thousand idle clients and beside a thousand slow ones.
    pub(crate) fn crowds(&mut self) -> anyhow::Result<()> {
        let rate = self.rate(false)?;
        for (kind, what) in [(Kind::Idle, "idle"), (Kind::Slow, "slow")] {
            let case = format!(
                "1 KiB, plain, {} requests/s, beside {} {what} clients",
                count(rate),
                count(CROWD as f64)
            );
            eprintln!("{case}");
            let windows = self.plan.crowd;
            let (mut gathered, mut cut) = (Gathered::default(), BTreeMap::new());
            let proxies = self.setup.contenders.iter().filter(|one| one.process.is_some());
            for contender in (0..windows.rounds).flat_map(|_| proxies.clone()) {
                let crowd = Crowd::gather(kind, contender.address(false))
                    .with_context(|| format!("{}, {case}", contender.name))?;
                let turn = self.pace(contender, false, rate, windows);
                *cut.entry(contender.name).or_insert(0) += crowd.leave()?;
                let (outcome, used) = turn?;
                contender.count(if matches!(kind, Kind::Idle) { CROWD as u64 } else { 0 });
                let [_, p99, p999] = quantiles(&outcome);
                gathered.add(contender.name, [p99, p999, used.memory], outcome.errors);
            }
            let [p99, p999, memory] = take(gathered.figures)?;
            self.latency(&case, "p99", p99, Some(gathered.errors));
            self.latency(&case, "p99.9", p999, None);
            self.row("– resident", memory, mib, None);
            cut.retain(|_, number| *number > 0);
            if !cut.is_empty() {
                let told: Vec<String> =
                    cut.iter().map(|(name, number)| format!("{name} {number}")).collect();
                self.table.notes.push(format!("Cut of the {what} clients: {}.", told.join(", ")));
            }
        }
        Ok(())
    }

    /// The most memory that each used in the cases without a crowd.
    pub(crate) fn memory(&mut self) {
        let peak = |values: Vec<f64>| vec![values.into_iter().fold(0.0, f64::max)];
        let memory = std::mem::take(&mut self.memory).into_iter();
        let peaks = memory.filter(|(name, _)| *name != DIRECT);
        let peaks = peaks.map(|(name, values)| (name, peak(values))).collect();
        self.row("resident at the most, 64 clients", peaks, mib, None);
    }

    /// Requests a second of the cases of a fixed rate.
    pub(crate) fn rate(&mut self, is_secure: bool) -> anyhow::Result<f64> {
        let known = &mut self.nginx[usize::from(is_secure)];
        if let Some(rate) = known {
            return Ok(*rate * PART);
        }
        let nginx = self.setup.contender(NGINX).context("nginx takes part in every run")?;
        let target = self.setup.target(nginx, is_secure, SMALL);
        let outcome =
            wrk::run(&target, true, self.plan.saturation.seconds, self.setup.directory())?;
        *known = Some(outcome.rate);
        Ok(outcome.rate * PART)
    }

    fn pace(
        &self,
        contender: &Contender,
        is_secure: bool,
        rate: f64,
        windows: Windows,
    ) -> anyhow::Result<(paced::Outcome, Used)> {
        let targets = self.setup.targets(contender, is_secure, SMALL);
        let pace = Pace { rate, connections: CONNECTIONS, warm: WARM, length: windows.length() };
        let (outcome, used) = contender
            .during(|| paced::run(&targets, &pace))
            .with_context(|| format!("{} at {rate:.0} requests/s", contender.name))?;
        // Each connection has had an answer before the first request was due.
        contender.count(outcome.answered + CONNECTIONS as u64);
        Ok((outcome, used))
    }

    fn latency(
        &mut self,
        case: &str,
        what: &str,
        rounds: Rounds,
        errors: Option<BTreeMap<&'static str, Errors>>,
    ) {
        let case = format!("{case}: {what}");
        let goal = (what == "p99").then_some(Goal::AtMost);
        self.table.add(&Row { case, rounds, show: millis, goal, errors });
    }

    fn row(&mut self, case: &str, rounds: Rounds, show: fn(f64) -> String, goal: Option<Goal>) {
        self.table.add(&Row { case: case.to_owned(), rounds, show, goal, errors: None });
    }
}

fn scheme(is_secure: bool) -> &'static str {
    if is_secure { "TLS" } else { "plain" }
}

fn cost(contender: &Contender, used: Used, answered: u64) -> f64 {
    if contender.process.is_none() { f64::NAN } else { used.cpu / answered as f64 * LOT }
}

fn quantiles(outcome: &paced::Outcome) -> [f64; 3] {
    [500, 990, 999].map(|parts| outcome.quantile(parts).as_secs_f64())
}

fn take<const N: usize>(figures: Vec<Rounds>) -> anyhow::Result<[Rounds; N]> {
    figures.try_into().ok().context("a case of no rounds")
}
