//! Programs of others: found, run to their end or kept running, and ended.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::podmeter::until;

/// Where the program is; `Err` says that it is not.
pub(crate) fn find(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    // Servers lie where an ordinary user's PATH does not lead.
    let folders = path.split(':').chain(["/usr/sbin", "/sbin"]);
    let mut places = folders.map(|folder| Path::new(folder).join(name));
    places.find(|place| place.is_file()).ok_or(format!("{name} is not installed; run tests/setup"))
}

/// What a program printed that ended well.
#[derive(Debug)]
pub(crate) struct Said {
    /// On standard output.
    pub(crate) bytes: Vec<u8>,
    /// On standard error.
    pub(crate) errors: String,
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Runs a program to its end.
///
/// # Panics
/// When it fails or takes longer than `most`.
pub(crate) fn run(command: &mut Command, most: Duration) -> Said {
    let (status, said) = ended(command, most);
    assert!(status == Some(0), "{command:?} ended with {status:?}: {}{}", said.text(), said.errors);
    said
}

/// Runs a program to its end, whatever that is: its exit code, `None` for a signal.
///
/// # Panics
/// When it takes longer than `most`.
pub(crate) fn ended(command: &mut Command, most: Duration) -> (Option<i32>, Said) {
    let files = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
    let [out, err] = files.each_ref().map(|file| file.try_clone().unwrap());
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
    let deadline = Instant::now() + most;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let [bytes, errors] = files.map(|mut file| {
        use std::io::{Read, Seek};
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let said = Said { bytes, errors: String::from_utf8_lossy(&errors).into_owned() };
    let Some(status) = status else {
        panic!("{command:?} did not end within {most:?}: {}{}", said.text(), said.errors)
    };
    (status.code(), said)
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it, with all that it prints in `log`.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        let errors = file.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().unwrap();
        Self { child, log }
    }

    /// What it printed so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it accepts connections; false when it ended instead, as when another took the port.
    pub(crate) fn listens(&mut self, address: SocketAddr) -> bool {
        until("a server listens", || {
            if self.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            TcpStream::connect(address).ok().map(|_| true)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("log of a server: {}", self.log());
        }
    }
}

/// An address that was free a moment ago, for programs that cannot tell which one the kernel gave them.
pub(crate) fn free_address() -> SocketAddr {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        if GIVEN.lock().unwrap().insert(address.port()) {
            return address;
        }
    }
}

/// Starts a server on a free port, on another one when somebody took it in between.
///
/// # Panics
/// When it never listens.
pub(crate) fn start_on_a_port(mut start: impl FnMut(SocketAddr) -> Server) -> (Server, SocketAddr) {
    const TRIES: usize = 5;
    let mut logs = Vec::new();
    for _ in 0..TRIES {
        let address = free_address();
        let mut server = start(address);
        if server.listens(address) {
            return (server, address);
        }
        logs.push(server.log());
    }
    panic!("a server does not start: {logs:#?}");
}
