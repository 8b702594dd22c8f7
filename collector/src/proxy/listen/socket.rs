//! Listening sockets, one of each address for each worker.

use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::net::sockopt;
use tokio::net::TcpSocket;

/// Connections that may wait to be accepted; the kernel's own bound (`somaxconn`) is usually the same.
const BACKLOG: i32 = 4096;

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
    // Others could share the port as well, and would take a part of the connections. So the first socket takes the
    // address for itself alone, and lets the others in afterwards: whoever comes in between is refused.
    let first = TcpListener::bind(address).map_err(fault)?;
    let bound = first.local_addr().map_err(fault)?;
    let shared = share(first).map_err(fault)?;
    let others = (1..workers).map(|_| open(bound));
    let all = std::iter::once(Ok(shared)).chain(others);
    all.map(|listener| Ok(Socket { listener: listener?, is_tls }))
        .take(workers)
        .collect::<io::Result<_>>()
        .map_err(fault)
}

/// Lets other sockets of this user listen on the same address from now on.
fn share(listener: TcpListener) -> io::Result<TcpListener> {
    sockopt::set_socket_reuseport(&listener, true)?;
    listener.set_nonblocking(true)?;
    // On a socket that listens already this only changes the backlog.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG.cast_unsigned())?.into_std()?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn all_workers_share_the_port_that_the_kernel_chose() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), false, 3).unwrap();
        let ports: Vec<_> =
            sockets.iter().map(|socket| socket.listener.local_addr().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }

    #[tokio::test]
    async fn connections_are_spread_over_all_workers() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), false, 3).unwrap();
        let address = sockets[0].listener.local_addr().unwrap();
        let clients: Vec<_> = (0..96).map(|_| TcpStream::connect(address).unwrap()).collect();
        let accepted = sockets
            .iter()
            .map(|socket| std::iter::from_fn(|| socket.listener.accept().ok()).count());
        let accepted: Vec<usize> = accepted.collect();
        assert_eq!(accepted.iter().sum::<usize>(), clients.len());
        assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
    }

    #[tokio::test]
    async fn of_many_that_start_at_once_only_one_has_the_address() {
        const PROXIES: usize = 8;
        let runtime = tokio::runtime::Handle::current();
        for _ in 0..20 {
            let address = bind("127.0.0.1:0".parse().unwrap(), false, 1).unwrap()[0]
                .listener
                .local_addr()
                .unwrap();
            let together = Barrier::new(PROXIES);
            let all: Vec<_> = thread::scope(|scope| {
                let start = || {
                    let _entered = runtime.enter();
                    together.wait();
                    bind(address, false, 2)
                };
                let threads: Vec<_> = (0..PROXIES).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(all.iter().filter(|bound| bound.is_ok()).count(), 1);
        }
    }

    #[tokio::test]
    async fn an_address_that_somebody_listens_on_is_refused() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(bind(address, false, 1).unwrap_err().address, address);
    }
}
