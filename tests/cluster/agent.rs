//! The program itself, as a process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustls::ClientConfig;

use crate::cluster::client::Target;
use crate::cluster::page::Page;
use crate::cluster::wait;

/// Longest time for an answer of ours.
const ANSWER: Duration = Duration::from_secs(20);

/// A running agent; ends with the value.
pub(crate) struct Agent {
    child: Child,
    address: SocketAddr,
    /// Where the proxy listens for HTTP and for HTTPS, where there is one.
    proxy: Option<(SocketAddr, SocketAddr)>,
    log: Arc<Mutex<String>>,
}

/// An HTTP answer.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: String,
}

/// The program, or the one that `PODMETER_TEST_BIN` names, with no environment of this process that could change what it does.
pub(crate) fn program() -> Command {
    let binary = std::env::var_os("PODMETER_TEST_BIN");
    let mut command = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_podmeter").into()));
    for name in ["KUBECONFIG", "NODE_NAME", "KUBERNETES_SERVICE_HOST"] {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PODMETER_") {
            command.env_remove(name);
        }
    }
    command
}

impl Agent {
    /// `podmeter run` with this way to the API server, sampling every second.
    pub(crate) fn start(kubeconfig: &Path) -> Self {
        Self::launch(kubeconfig, &[])
    }

    /// The same with a configuration file that has a proxy with a plain and a secure address.
    pub(crate) fn proxying(kubeconfig: &Path, config: &Path) -> Self {
        let mut agent = Self::launch(kubeconfig, &["--config".as_ref(), config.as_os_str()]);
        agent.proxy = Some((agent.listener("tls=false"), agent.listener("tls=true")));
        agent
    }

    fn launch(kubeconfig: &Path, flags: &[&OsStr]) -> Self {
        let mut child = program()
            .args(["run", "--node", "node1", "--listen", "127.0.0.1:0", "--interval", "1s"])
            .args(["--log", "info", "--kubeconfig"])
            .arg(kubeconfig)
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, stderr) = (log.clone(), child.stderr.take().expect("it is piped"));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut kept = kept.lock().expect("nobody panics with it");
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let address = wait::until("the agent logs its address", Duration::from_secs(20), || {
            let log = log.lock().expect("nobody panics with it");
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the agent ended with {status}:\n{log}");
            }
            let line = log.lines().find(|line| line.contains("listening"))?;
            logged(line, "address=")
        });
        Self { child, address, proxy: None, log }
    }

    /// Where the proxy listens, by what else is on that line of the log.
    fn listener(&self, kind: &str) -> SocketAddr {
        wait::until("the proxy logs its addresses", Duration::from_secs(20), || {
            let log = self.log();
            let line = log
                .lines()
                .find(|line| line.contains("the proxy listens") && line.contains(kind))?;
            logged(line, "proxy=")
        })
    }

    /// Plain HTTP through the proxy.
    pub(crate) fn http(&self, host: &str) -> Target {
        let (address, _) = self.proxy.expect("it has a proxy");
        Target::plain(address, host)
    }

    /// HTTPS through the proxy.
    pub(crate) fn https(&self, host: &str, tls: Arc<ClientConfig>) -> Target {
        let (_, address) = self.proxy.expect("it has a proxy");
        Target::plain(address, host).within(tls)
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics with it").clone()
    }

    /// Asks for a path.
    pub(crate) fn try_get(&self, path: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        // HTTP/1.0: the body ends with the connection, in one piece.
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: podmeter\r\nAccept: text/plain;version=0.0.4\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let broken = || std::io::Error::other(format!("no HTTP answer: {text:.200}"));
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status =
            head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
        Ok(Answer { status, body: body.to_owned() })
    }

    /// Asks for a path.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}\n{}", self.log()))
    }

    /// A page of metrics, read strictly.
    pub(crate) fn scrape(&self) -> Result<Page, String> {
        let answer = self.try_get("/metrics").map_err(|error| error.to_string())?;
        match answer.status {
            200 => Page::strict(&answer.body),
            status => Err(format!("/metrics answers {status}: {}", answer.body)),
        }
    }

    /// Waits until it is ready.
    pub(crate) fn ready(&self) {
        wait::until("the agent is ready", Duration::from_secs(30), || {
            (self.get("/readyz").status == 200).then_some(())
        });
    }

    /// Asks it to end, and how it did.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, Signal::TERM).expect("it runs");
        let deadline = Instant::now() + Duration::from_secs(15);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the agent does not end:\n{}", self.log());
    }
}

/// The address behind a field's name on a line of the log.
fn logged(line: &str, field: &str) -> Option<SocketAddr> {
    line.split(field).nth(1)?.split_whitespace().next()?.parse().ok()
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
