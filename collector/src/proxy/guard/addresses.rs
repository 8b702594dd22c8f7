//! How many connections clients may have open, in all and of one address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::proxy::refusal::Refusal;

const SHARDS: usize = 32;

/// Counts open connections. A clone counts the same ones. Its memory is bounded by the connections that are open: an
/// address without one is forgotten.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    per_address: usize,
    open: AtomicUsize,
    addresses: Box<[Mutex<HashMap<IpAddr, usize>>]>,
    hasher: std::hash::RandomState,
}

/// One connection's place; given back when it is dropped.
#[derive(Debug)]
#[must_use = "the connection counts as closed when this is dropped"]
pub struct Permit {
    connections: Connections,
    address: Option<IpAddr>,
}

impl Connections {
    /// At most so many in all and of one address; zero of one address is no bound.
    #[must_use]
    pub fn new(total: usize, per_address: usize) -> Self {
        Self(Arc::new(Inner {
            total,
            per_address,
            open: AtomicUsize::new(0),
            addresses: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            hasher: std::hash::RandomState::new(),
        }))
    }

    /// A place for a connection, of whatever address.
    ///
    /// # Errors
    ///
    /// [`Refusal::Connections`] when there are too many.
    pub fn enter(&self) -> Result<Permit, Refusal> {
        let inner = &*self.0;
        let room = |open: usize| (open < inner.total).then_some(open + 1);
        inner.open.fetch_update(Relaxed, Relaxed, room).map_err(|_| Refusal::Connections)?;
        Ok(Permit { connections: self.clone(), address: None })
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.load(Relaxed)
    }
}

impl Permit {
    /// Makes it the place of a connection from this address. To be called once.
    ///
    /// # Errors
    ///
    /// [`Refusal::AddressConnections`] when there are too many of this address.
    pub fn settle(&mut self, ip: IpAddr) -> Result<(), Refusal> {
        let inner = &*self.connections.0;
        if inner.per_address == 0 {
            return Ok(());
        }
        let address = of_one_client(ip);
        let mut shard = inner.shard(address);
        let open = shard.entry(address).or_insert(0);
        if *open >= inner.per_address {
            return Err(Refusal::AddressConnections);
        }
        *open += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Inner {
    fn shard(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let hash = self.hasher.hash_one(address);
        let shard = usize::try_from(hash % SHARDS as u64).expect("a shard's number is small");
        self.addresses[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let inner = &*self.connections.0;
        if let Some(address) = self.address
            && let Entry::Occupied(mut open) = inner.shard(address).entry(address)
        {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
        inner.open.fetch_sub(1, Relaxed);
    }
}

/// What one client can be expected to hold: an IPv4 address however it is written, or a /64 of IPv6, within which a
/// client may choose its address at will.
fn of_one_client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    impl Connections {
        fn admit(&self, ip: IpAddr) -> Result<Permit, Refusal> {
            let mut permit = self.enter()?;
            permit.settle(ip)?;
            Ok(permit)
        }
    }

    fn known(connections: &Connections) -> usize {
        connections.0.addresses.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn one_address_cannot_take_the_place_of_others() {
        let connections = Connections::new(3, 2);
        let first = connections.admit(ip("192.0.2.1")).unwrap();
        let mapped = connections.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert_eq!(connections.admit(ip("192.0.2.1")).unwrap_err(), Refusal::AddressConnections);
        assert_eq!(connections.open(), 2);
        let other = connections.admit(ip("192.0.2.2")).unwrap();
        assert_eq!(connections.admit(ip("192.0.2.3")).unwrap_err(), Refusal::Connections);
        drop(first);
        let _again = connections.admit(ip("192.0.2.1")).unwrap();
        drop((mapped, other));
        assert_eq!((connections.open(), known(&connections)), (1, 1));
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        let connections = Connections::new(10, 1);
        let _one = connections.admit(ip("2001:db8:1:2::1")).unwrap();
        let same = connections.admit(ip("2001:db8:1:2:ffff::9")).unwrap_err();
        assert_eq!(same, Refusal::AddressConnections);
        let _other = connections.admit(ip("2001:db8:1:3::1")).unwrap();
    }

    #[test]
    fn nothing_is_kept_of_closed_or_refused_connections() {
        let connections = Connections::new(1000, 1);
        for host in 0..1000_u32 {
            let permit = connections.admit(IpAddr::V4(host.into())).unwrap();
            let _ = connections.admit(IpAddr::V4(host.into())).unwrap_err();
            drop(permit);
        }
        assert_eq!((connections.open(), known(&connections)), (0, 0));
    }

    #[test]
    fn without_a_bound_of_one_address_none_is_kept() {
        let connections = Connections::new(10, 0);
        let all: Vec<_> = (0..10).map(|_| connections.admit(ip("192.0.2.1")).unwrap()).collect();
        assert_eq!((connections.open(), known(&connections)), (10, 0));
        drop(all);
        assert_eq!(connections.open(), 0);
    }
}
