//! Listening sockets, one of each address for each worker.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpSocket;

/// Connections that may wait to be accepted; the kernel's own bound (`somaxconn`) is usually the same.
const BACKLOG: u32 = 4096;

/// A listening socket of one worker.
#[derive(Debug)]
pub struct Socket {
    pub(crate) listener: TcpListener,
    /// Whether TLS is spoken.
    pub(crate) is_tls: bool,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the kernel said.
    pub source: io::Error,
}

/// Binds `address` for each worker. Port 0 lets the kernel choose one for all of them.
///
/// # Errors
/// When the address is taken, not this machine's, or needs a right.
pub(crate) fn bind(
    address: SocketAddr,
    is_tls: bool,
    workers: usize,
) -> Result<Vec<Socket>, BindError> {
    let fault = |source| BindError { address, source };
    // Others could share the port as well, and would take a part of the connections: nobody may be there.
    let probe = TcpListener::bind(address).map_err(fault)?;
    let bound = probe.local_addr().map_err(fault)?;
    drop(probe);
    (0..workers)
        .map(|_| {
            let listener = open(bound)?;
            Ok(Socket { listener, is_tls })
        })
        .collect::<io::Result<_>>()
        .map_err(fault)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?.into_std()?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_workers_share_the_port_that_the_kernel_chose() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), false, 3).unwrap();
        let ports: Vec<_> =
            sockets.iter().map(|socket| socket.listener.local_addr().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }

    #[tokio::test]
    async fn an_address_that_somebody_listens_on_is_refused() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(bind(address, false, 1).unwrap_err().address, address);
    }
}
