//! The pods' addresses: a network of the loopback interface that no other demo on this machine has.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use anyhow::Context;
use tokio::net::TcpSocket;

/// Where the pods' applications listen, unless something on this machine has that port on all addresses.
const PORT: u16 = 8080;

/// 127.10.x.0/24, this demo's own as long as this value lives.
#[derive(Debug)]
pub struct Network {
    third: u8,
    port: u16,
    /// Bound and never listened on: another demo that tries the same network is refused, and so are connections.
    _claim: TcpSocket,
}

impl Network {
    /// Claims a network: the first that is free, with port 8080 or, where no network has that, any other one.
    ///
    /// # Errors
    /// When nothing can be bound on the loopback interface.
    pub fn claim() -> anyhow::Result<Self> {
        for third in 0..=u8::MAX {
            match bind(third, PORT) {
                Ok(claim) => return Ok(Self { third, port: PORT, _claim: claim }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error).context(NO_ADDRESSES),
            }
        }
        let claim = bind(0, 0).context(NO_ADDRESSES)?;
        let port = claim.local_addr().context(NO_ADDRESSES)?.port();
        Ok(Self { third: 0, port, _claim: claim })
    }

    /// The address of a pod, counted from 0.
    #[must_use]
    pub fn pod(&self, at: u8) -> Ipv4Addr {
        // The first is the bridge's in a real network; here it holds the claim.
        Ipv4Addr::new(127, 10, self.third, at.saturating_add(10))
    }

    /// Where every pod's application listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

const NO_ADDRESSES: &str =
    "cannot give the pods addresses of the loopback interface (127.10.0.0/16)";

fn bind(third: u8, port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(127, 10, third, 1), port)))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_demos_have_networks_of_their_own() {
        let (one, other) = (Network::claim().unwrap(), Network::claim().unwrap());
        let address = |network: &Network| (network.pod(0), network.port());
        assert_ne!(address(&one), address(&other));
        assert!(one.pod(0).is_loopback());
    }
}
