//! Python programs of this folder, in the virtual environment that `tests/setup` makes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::podmeter::until;
use crate::program::Server;

/// The command for a program of this folder.
pub(crate) fn program(name: &str) -> Result<Command, String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python: PathBuf = top.join("target/venv/bin/python");
    if !python.is_file() {
        return Err("there is no target/venv; run tests/setup".to_owned());
    }
    let mut command = Command::new(python);
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONNOUSERSITE", "1")
        .env_remove("PYTHONPATH");
    command.arg(top.join("tests/tools").join(name));
    Ok(command)
}

/// Where a server of this folder listens, which it prints as `listening PORT`.
pub(crate) fn listening(server: &Server) -> SocketAddr {
    let port = until("a Python server says where it listens", || {
        let log = server.log();
        log.lines().find_map(|line| line.strip_prefix("listening ")?.parse::<u16>().ok())
    });
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
