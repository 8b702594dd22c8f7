//! Where a proxy's CPU time goes: `perf` looks at it while 1 KiB answers go through, plain and over TLS.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use super::plan::Plan;
use super::setup::{Contender, Setup};
use super::site::SMALL;
use super::wrk;

/// Samples a second; no divisor of anything that happens every second.
const FREQUENCY: &str = "997";
/// Functions that are told by name.
const NAMED: usize = 12;

/// Whose work a function is, by words in its name.
type Owners = [(&'static str, &'static str)];

/// The word that stands first decides: what a library does with another's types is the library's work.
const PROGRAM: &Owners = &[
    ("Podmeter's own code", "collector:: agent:: podmeter::"),
    ("hyper and http", "hyper:: hyper_util:: http:: http_body httparse:: h2::"),
    ("tokio and mio", "tokio:: tokio_util:: mio:: futures"),
    ("TLS", "rustls:: ring:: ring_core aes gcm sha256 sha512 p256 ecp_ SSL_ EVP_ CRYPTO_"),
    ("memory: allocating", "malloc calloc realloc free __rust_ __rdl_ _int_"),
    ("memory: copying and comparing", "memcpy memmove memset memcmp"),
    ("clocks", "clock_gettime vdso std::time"),
    ("the standard library", "core:: alloc:: std::"),
];

/// In the kernel a name says it with its first word, underscores aside.
const KERNEL: &Owners = &[
    ("kernel: the firewall", "nf_ nft_ conntrack ipt_ hash_conntrack ipv4_conntrack nfqnl"),
    (
        "kernel: TCP, IP and sockets",
        "tcp ip_ ipv4 inet sock skb alloc_skb sk_ net netif napi dev_ loopback process_backlog eth_ \
         validate_xmit release_sock lock_sock bbr cubictcp raw_local xfrm security_sock copy_skb \
         handle_softirqs do_softirq local_bh fib_ dst_ import_iovec iovec",
    ),
    ("kernel: epoll and waking", "ep_ do_epoll epoll eventfd wake try_to_wake pollwake futex"),
    (
        "kernel: scheduling and timers",
        "schedule finish_task pick_ update_ enqueue dequeue sched hrtimer ktime read_tsc switch_ \
         set_next reweight place_entity prepare_task native_sched pvclock select_task mod_timer \
         lock_timer rb_ timerqueue",
    ),
    ("kernel: copying", "copy_ rep_movs check_object check_heap memcpy csum get_user put_user"),
    (
        "kernel: entering and leaving",
        "entry_ do_syscall syscall x64_sys exit_to asm_ error_entry irqentry sysret sysvec fdget fget \
         fput ksys vfs_ rw_verify se_sys srso retbleed ret_from x86_indirect x86_return",
    ),
    ("kernel: memory", "kfree kmalloc kmem slab alloc_pages rmqueue free_ page_ get_page"),
    ("kernel: locks", "raw_spin raw_callee pv_queued mutex rcu queued"),
];

/// Libraries whose functions have no names in them.
const LIBRARIES: &Owners = &[
    ("TLS", "libssl libcrypto"),
    ("the program itself", "nginx haproxy podmeter"),
    ("libc", "libc"),
];

/// The table for one proxy, or in one line why there is none.
pub(crate) fn run(setup: &Setup, plan: &Plan, contender: &Contender) -> anyhow::Result<String> {
    let mut shares = [BTreeMap::new(), BTreeMap::new()];
    let mut named: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    for is_secure in [false, true] {
        let which = usize::from(is_secure);
        let report = match look(setup, plan, contender, is_secure)? {
            Ok(report) => report,
            Err(obstacle) => return Ok(format!("No profile: {obstacle}\n")),
        };
        for line in report.lines() {
            let Some((share, owner, name)) = parse(line) else { continue };
            *shares[which].entry(owner).or_insert(0.0) += share;
            named.entry(name).or_default()[which] += share;
        }
    }
    let mut owners: Vec<&str> = shares.iter().flat_map(BTreeMap::keys).copied().collect();
    owners.sort_unstable();
    owners.dedup();
    let mut rows: Vec<(String, [f64; 2])> = owners
        .into_iter()
        .map(|owner| {
            let share = |which: usize| shares[which].get(owner).copied().unwrap_or_default();
            (owner.to_owned(), [share(0), share(1)])
        })
        .collect();
    let mut functions: Vec<(String, [f64; 2])> = named.into_iter().collect();
    let sum = |row: &(String, [f64; 2])| row.1[0] + row.1[1];
    for list in [&mut rows, &mut functions] {
        list.sort_by(|one, other| sum(other).total_cmp(&sum(one)));
    }
    functions.truncate(NAMED);
    Ok(write(contender.name, &rows, &functions))
}

/// perf's report of one window at saturation, or why there is none.
fn look(
    setup: &Setup,
    plan: &Plan,
    contender: &Contender,
    is_secure: bool,
) -> anyhow::Result<Result<String, String>> {
    let process = contender.process.as_ref().context("the floor has no profile")?;
    let file = setup.directory().join("perf.data");
    let pids: Vec<String> = process.members()?.iter().map(ToString::to_string).collect();
    let mut recorder = Command::new("perf");
    recorder.args(["record", "-q", "-e", "cpu-clock", "-F", FREQUENCY]);
    recorder.args(["-p", &pids.join(",")]).arg("-o").arg(&file);
    recorder.args(["--", "sleep", &plan.profile.seconds.to_string()]);
    let recorder = recorder.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let recorder = match recorder {
        Ok(child) => child,
        Err(error) => return Ok(Err(format!("perf cannot be run: {error}"))),
    };
    let target = setup.target(contender, is_secure, SMALL);
    let driven = wrk::run(&target, true, plan.profile.seconds, setup.directory());
    let said = finish(recorder)?;
    contender.count(driven?.answered);
    if let Err(said) = said {
        return Ok(Err(said));
    }
    let mut report = Command::new("perf");
    report.args([
        "report",
        "--stdio",
        "-q",
        "--no-children",
        "-F",
        "overhead,dso,symbol",
        "-t",
        "|",
    ]);
    let report = report.arg("-i").arg(&file).stderr(Stdio::null()).output()?;
    Ok(Ok(String::from_utf8_lossy(&report.stdout).into_owned()))
}

fn finish(child: Child) -> anyhow::Result<Result<(), String>> {
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("perf fails");
    Ok(if output.status.success() { Ok(()) } else { Err(line.trim().to_owned()) })
}

/// One line of perf's report: percent, whose, and the function's name.
fn parse(line: &str) -> Option<(f64, &'static str, String)> {
    let mut fields = line.splitn(3, '|');
    let share = fields.next()?.trim().trim_end_matches('%').parse().ok()?;
    let object = fields.next()?.trim();
    let (kind, symbol) = fields.next()?.trim().split_once("] ")?;
    let symbol = symbol.trim();
    if kind.ends_with('k') {
        let bare = symbol.trim_start_matches('_');
        let owner = first(KERNEL, bare).filter(|(at, _)| *at == 0).map(|(_, owner)| owner);
        return Some((share, owner.unwrap_or("kernel: the rest"), format!("{symbol} (kernel)")));
    }
    let owner = first(PROGRAM, symbol).or_else(|| first(LIBRARIES, object));
    let name = if symbol.starts_with("0x") { object } else { symbol };
    let name = name.chars().take(90).collect();
    Some((share, owner.map_or("the rest", |(_, owner)| owner), name))
}

/// The owner one of whose words stands before all others', and where.
fn first(owners: &Owners, name: &str) -> Option<(usize, &'static str)> {
    let place = |words: &str| words.split_whitespace().filter_map(|word| name.find(word)).min();
    let places = owners.iter().filter_map(|(owner, words)| Some((place(words)?, *owner)));
    places.min_by_key(|(at, _)| *at)
}

fn write(name: &str, rows: &[(String, [f64; 2])], functions: &[(String, [f64; 2])]) -> String {
    let mut text =
        format!("Where {name}'s CPU time goes, 1 KiB at saturation (perf, self time):\n\n");
    text.push_str("| Where | Plain | TLS |\n|---|---|---|\n");
    for (owner, [plain, tls]) in rows {
        let _ = writeln!(text, "| {owner} | {plain:.1} % | {tls:.1} % |");
    }
    for (function, [plain, tls]) in functions {
        let _ =
            writeln!(text, "| – `{}` | {plain:.1} % | {tls:.1} % |", function.replace('|', "/"));
    }
    text
}
