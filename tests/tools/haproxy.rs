//! haproxy with a configuration of its own: as a server, or in front of another one.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Server, find, start_on_a_port};

/// It runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Haproxy {
    pub(crate) address: SocketAddr,
    _server: Server,
    _folder: TempDir,
}

impl Haproxy {
    /// One with these lines for its one section, in which `ADDRESS` stands for where it listens.
    pub(crate) fn start(section: &str) -> Result<Self, String> {
        let program = find("haproxy")?;
        let folder = tempfile::tempdir().unwrap();
        let (server, address) = start_on_a_port(|address| {
            let section = section.replace("ADDRESS", &address.to_string());
            let text = format!(
                "global\n  maxconn 4096\n  nbthread 1\ndefaults\n  timeout connect 5s\n  timeout client 30s\n  \
                 timeout server 30s\n{section}\n"
            );
            let file = folder.path().join("haproxy.cfg");
            fs::write(&file, text).unwrap();
            let mut command = Command::new(&program);
            command.arg("-db").arg("-f").arg(file);
            Server::start(&mut command, folder.path().join("haproxy.log"))
        });
        Ok(Self { address, _server: server, _folder: folder })
    }

    /// A proxy in front of this address; `mode` is `http` or `tcp`, `options` are the server's.
    pub(crate) fn before(address: SocketAddr, mode: &str, options: &str) -> Result<Self, String> {
        let forward = if mode == "http" { "  option forwardfor\n" } else { "" };
        Self::start(&format!(
            "listen front\n  bind ADDRESS\n  mode {mode}\n{forward}  server next {address} {options}"
        ))
    }
}
