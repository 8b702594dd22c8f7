//! The real binary: one page with `podmeter once`, or a running agent that answers scrapes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::page::Page;

/// Far more than anything here needs, so that only a hang reaches it; emulated machines are slow.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// Between two questions about the same thing.
const AGAIN: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
///
/// # Panics
/// When there is none within [`LIMIT`].
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        thread::sleep(AGAIN);
    }
}

/// The binary under test: the one cargo built, unless `PODMETER_TEST_BIN` names another.
#[must_use]
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("PODMETER_TEST_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_podmeter").into(), PathBuf::from)
}

/// The binary with nothing of this process's settings.
#[must_use]
pub(crate) fn command() -> Command {
    clean(Command::new(binary()))
}

/// Takes this process's settings for podmeter out of a command's environment.
#[must_use]
pub(crate) fn clean(mut command: Command) -> Command {
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("PODMETER_") || key == "NODE_NAME" {
            command.env_remove(key);
        }
    }
    command
}

/// One page from a command that prints it, such as `podmeter once`.
///
/// # Panics
/// When it fails.
pub(crate) fn page(command: &mut Command) -> Page {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
    Page::parse(std::str::from_utf8(&output.stdout).unwrap())
}

/// A running agent; ended when dropped.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Agent {
    /// Starts `podmeter run` on a port of the kernel's choice, with these arguments too, and waits until it
    /// listens.
    ///
    /// # Panics
    /// When it ends instead.
    #[must_use]
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = command();
        command.args(["run", "--listen", "127.0.0.1:0", "--log-format", "json"]).args(arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut address = None;
        for line in lines.by_ref() {
            address = listening(&line);
            log.lock().unwrap().push(line);
            if address.is_some() {
                break;
            }
        }
        let Some(address) = address else {
            let _ = child.kill();
            panic!("podmeter run did not listen: {:?}: {:#?}", child.wait(), log.lock().unwrap());
        };
        let kept = log.clone();
        thread::spawn(move || lines.for_each(|line| kept.lock().unwrap().push(line)));
        let mut agent = Self { child, address, log };
        until("the first page", || {
            let ended = agent.child.try_wait().unwrap();
            assert_eq!(ended, None, "podmeter run ended");
            agent.ask()
        });
        agent
    }

    /// The page as of now, at most a second old.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub(crate) fn scrape(&self) -> Page {
        self.ask().unwrap_or_else(|| panic!("no page: {:#?}", self.log.lock().unwrap()))
    }

    /// A page whose reading began after this was called.
    ///
    /// # Panics
    /// When it does not come.
    #[must_use]
    pub(crate) fn fresh(&self) -> Page {
        // The page counts the ticks before its own. One tick may be under way now, so the first that
        // certainly began later is the second from here.
        let now = ticks(&self.scrape());
        until("two more ticks", || Some(self.scrape()).filter(|page| ticks(page) >= now + 2.0))
    }

    /// Scrapes until the page satisfies.
    ///
    /// # Panics
    /// When none does.
    #[must_use]
    pub(crate) fn page_with(&self, what: &str, is_met: impl Fn(&Page) -> bool) -> Page {
        until(what, || Some(self.scrape()).filter(&is_met))
    }

    /// What it logged so far.
    #[must_use]
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn ask(&self) -> Option<Page> {
        // 1.0, so that the answer ends with the connection and has no chunks.
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        head.lines().next()?.contains(" 200 ").then(|| Page::parse(body))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        // It ends within its grace; a hang is for the tests of stopping to find.
        let deadline = Instant::now() + Duration::from_secs(30);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(AGAIN);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("log of the agent: {:#?}", self.log());
        }
    }
}

/// Makes a command run as nobody.
pub(crate) fn as_nobody(command: &mut Command) -> &mut Command {
    const NOBODY: u32 = 65534;
    command.uid(NOBODY).gid(NOBODY)
}

fn ticks(page: &Page) -> f64 {
    page.value("podmeter_tick_duration_seconds_count", &[]).unwrap_or(0.0)
}

/// The address in the log line that tells it.
fn listening(line: &str) -> Option<SocketAddr> {
    line.contains("listening").then_some(())?;
    let (_, rest) = line.split_once("\"address\":\"")?;
    rest.split_once('"')?.0.parse().ok()
}
