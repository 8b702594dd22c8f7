//! Processes to measure: this program again, told by a variable to be one.
//!
//! A worker does what a line on its stdin says, then answers with a line, so that a test knows when
//! something has been used. It ends when its stdin does, so with the test whatever becomes of that.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use crate::cgroups::Group;

/// Set in a worker, unset elsewhere.
const VARIABLE: &str = "PODMETER_KERNEL_WORKER";
/// Long enough to be seen in any unit, short enough to be done often.
const TURNS: u64 = 2_000_000;
const MIB: usize = 1 << 20;

/// Whether this process is to be a worker.
#[must_use]
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// A worker, as a test has it. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// A worker in this cgroup.
    #[must_use]
    pub(crate) fn start(group: &Group) -> Self {
        let worker = Self::outside(Command::new(std::env::current_exe().unwrap()));
        group.enter(worker.child.id());
        worker
    }

    /// A worker in this cgroup and in a network namespace of its own.
    #[must_use]
    pub(crate) fn isolated(group: &Group) -> Self {
        let mut command = Command::new("unshare");
        command.arg("--net").arg(std::env::current_exe().unwrap());
        let mut worker = Self::outside(command);
        // What `unshare` became answers, so the namespace is there.
        worker.order("burn");
        group.enter(worker.child.id());
        worker
    }

    fn outside(mut command: Command) -> Self {
        command.env(VARIABLE, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, orders, answers }
    }

    /// Has it do something and waits until that is done; gives the answer.
    pub(crate) fn order(&mut self, order: &str) -> String {
        self.begin(order);
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(answer.starts_with("ok"), "order {order:?} got {answer:?}");
        answer.trim().trim_start_matches("ok").trim().to_owned()
    }

    /// Has it do what it will not live to answer.
    pub(crate) fn begin(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// Waits until it has ended, and says by which signal.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().signal()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a worker is doing all the time.
#[derive(Default)]
struct Held {
    memory: Vec<Vec<u8>>,
    files: Vec<File>,
}

/// Obeys until stdin ends.
///
/// # Errors
/// When an order fails.
pub(crate) fn work() -> io::Result<()> {
    let mut held = Held::default();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<_> = line.split(' ').collect();
        let answer = obey(&words, &mut held)?;
        let mut out = io::stdout().lock();
        writeln!(out, "ok {answer}")?;
        out.flush()?;
    }
    black_box(held.memory);
    Ok(())
}

fn obey(words: &[&str], held: &mut Held) -> io::Result<String> {
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
    match words[0] {
        // User time.
        "burn" => drop(black_box((0..TURNS).fold(0, u64::wrapping_add))),
        // System time.
        "call" => {
            let mut zeros = File::open("/dev/zero")?.take(16 * MIB as u64);
            let mut buffer = vec![0; MIB];
            while zeros.read(black_box(&mut buffer))? > 0 {}
        }
        // User time without end.
        "spin" => drop(thread::spawn(|| {
            loop {
                black_box((0..TURNS).fold(0, u64::wrapping_add));
            }
        })),
        // Anonymous memory.
        "hold" => held.memory.push(black_box(vec![1; number(1) * MIB])),
        "release" => held.memory.clear(),
        // File pages: a new file, held open without a name.
        "fill" => {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(words[1])?;
            write(&mut file, number(2))?;
            fs::remove_file(words[1])?;
            held.files.push(file);
        }
        "close" => held.files.clear(),
        // Writes into what is there already, such as a device.
        "write" => {
            let mut file = OpenOptions::new().write(true).open(words[1])?;
            write(&mut file, number(2))?;
        }
        "threads" => {
            for _ in 0..number(1) {
                thread::spawn(|| {
                    loop {
                        thread::park();
                    }
                });
            }
        }
        // A child that the OOM killer takes before this process.
        "child" => return child(number(1)),
        // Datagrams of so many bytes to nobody.
        "send" => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            for _ in 0..number(2) {
                socket.send_to(&vec![1; number(3)], words[1])?;
            }
        }
        // Another program, here.
        "run" => {
            let status = Command::new(words[1]).args(&words[2..]).stdin(Stdio::null()).status()?;
            return Ok(status.code().unwrap_or(-1).to_string());
        }
        "read" => return Ok(fs::read_to_string(words[1])?.replace('\n', "\\n")),
        "offer" => fs::write("/proc/self/oom_score_adj", "1000")?,
        other => return Err(io::Error::other(format!("unknown order {other:?}"))),
    }
    Ok(String::new())
}

fn write(file: &mut File, mib: usize) -> io::Result<()> {
    for _ in 0..mib {
        file.write_all(&vec![1; MIB])?;
    }
    file.sync_all()
}

/// Starts a child that takes so many MiB; says how that ended.
fn child(mib: usize) -> io::Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child =
        command.env(VARIABLE, "1").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut orders = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let asked = writeln!(orders, "offer").and_then(|()| writeln!(orders, "hold {mib}"));
    drop(orders);
    asked?;
    let status = child.wait()?;
    Ok(status.signal().map_or_else(|| "ended".to_owned(), |signal| format!("signal {signal}")))
}
