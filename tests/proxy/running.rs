//! The real binary with its proxy.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::{Answer, Client};
use crate::config::Config;
use crate::page::Page;
use crate::pod::Pod;

/// Far more than anything here needs, so that only a hang reaches it.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Between two questions about the same thing.
const AGAIN: Duration = Duration::from_millis(10);

/// Asks until there is an answer.
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

/// A running podmeter; ended when dropped.
pub(crate) struct Proxy {
    child: Child,
    /// Where its own pages are.
    own: SocketAddr,
    plain: SocketAddr,
    secure: Option<SocketAddr>,
    log: Arc<Mutex<Vec<String>>>,
    directory: TempDir,
}

impl Proxy {
    /// One that sends everything to these pods.
    pub(crate) fn to(pods: &[&Pod]) -> Self {
        Self::start(&Config::to(pods))
    }

    /// One with this file, once it is ready.
    pub(crate) fn start(config: &Config) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config)
    }

    /// The same, in a directory that has other files for it already.
    pub(crate) fn start_in(directory: TempDir, config: &Config) -> Self {
        let root = directory.path().join("cgroup");
        fs::create_dir_all(root.join("memory")).unwrap();
        let file = directory.path().join("podmeter.yaml");
        fs::write(&file, config.text(root.to_str().unwrap())).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_podmeter"))
            .args(["run", "--standalone", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--config", file.to_str().unwrap()])
            .env_clear()
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = log.clone();
        thread::spawn(move || lines.for_each(|line| kept.lock().unwrap().push(line)));
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut proxy = Self { child, own: nowhere, plain: nowhere, secure: None, log, directory };
        proxy.own = proxy.told(&["\"listening\""], "address");
        proxy.plain = proxy.told(&["the proxy listens", "\"tls\":false"], "proxy");
        if config.text("").contains("listen_tls") {
            proxy.secure = Some(proxy.told(&["the proxy listens", "\"tls\":true"], "proxy"));
        }
        until("readiness", || proxy.page("/readyz", "").filter(|answer| answer.status == 200));
        proxy
    }

    /// An address in the log.
    fn told(&mut self, words: &[&str], field: &str) -> SocketAddr {
        let log = self.log.clone();
        until("the addresses in the log", || {
            let ended = self.child.try_wait().unwrap();
            let log = log.lock().unwrap().clone();
            assert_eq!(ended, None, "it ended: {log:#?}");
            let line = log.iter().find(|line| words.iter().all(|word| line.contains(word)))?;
            let (_, rest) = line.split_once(&format!("\"{field}\":\""))?;
            rest.split_once('"')?.0.parse().ok()
        })
    }

    /// Where it speaks plain HTTP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.plain
    }

    /// Where it speaks TLS.
    pub(crate) fn secure(&self) -> SocketAddr {
        self.secure.expect("a socket for TLS was asked for")
    }

    /// A client's connection.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.plain)
    }

    /// The answer to a request on a connection of its own.
    pub(crate) fn ask(&self, request: &str) -> Answer {
        self.connect().ask(request)
    }

    /// A file in the directory that it runs in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes its configuration anew, and waits until that is in force.
    pub(crate) fn reload(&self, config: &Config) {
        let text = config.text(self.path("cgroup").to_str().unwrap());
        self.rewrite(&text, "its routes and services are in force");
    }

    /// Writes its configuration anew, and waits until it has said these words about it.
    pub(crate) fn rewrite(&self, text: &str, words: &str) {
        let before = self.said(words);
        self.replace("podmeter.yaml", text);
        until(words, || (self.said(words) > before).then_some(()));
    }

    /// Puts another file in the place of one, as a whole.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// How many lines of its log have these words.
    pub(crate) fn said(&self, words: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(words)).count()
    }

    /// One of its own pages; `None` when it does not answer.
    pub(crate) fn page(&self, path: &str, headers: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(self.own).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        // 1.0, so that the answer ends with the connection and has no chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: podmeter\r\n{headers}\r\n").ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        Answer::whole(&bytes)
    }

    /// Its series, at most a second old.
    pub(crate) fn scrape(&self) -> Page {
        let answer = self.page("/metrics", "").filter(|answer| answer.status == 200);
        Page::parse(&answer.expect("a page").text())
    }

    /// Scrapes until the page satisfies.
    pub(crate) fn page_with(&self, what: &str, is_met: impl Fn(&Page) -> bool) -> Page {
        until(what, || {
            let page = self.scrape();
            if !is_met(&page) {
                thread::sleep(Duration::from_millis(100));
                return None;
            }
            Some(page)
        })
    }

    /// Waits until these series have come to `value` together, and fails when they are beyond.
    pub(crate) fn counts(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Page {
        let sum = |page: &Page| page.samples(name, labels).map(|sample| sample.value).sum::<f64>();
        let what = format!("{name} {labels:?} is {value}");
        let page = self.page_with(&what, |page| sum(page) >= value);
        assert!((sum(&page) - value).abs() < f64::EPSILON, "{what}: it is {}", sum(&page));
        page
    }

    /// Waits until no client has a request under way, and at least one had.
    pub(crate) fn rests(&self) -> Page {
        self.page_with("no request under way", |page| {
            ["http_server_active_requests", "http_client_active_requests"].iter().all(|name| {
                let mut active = page.samples(name, &[]).map(|sample| sample.value).peekable();
                active.peek().is_some() && active.all(|value| value == 0.0)
            })
        })
    }

    /// Its memory that is resident.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, once it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        until("its end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("its log: {:#?}", self.log.lock().unwrap());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
