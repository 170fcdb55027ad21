//! Caps on connections, in total and a source address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts connections and refuses those beyond a cap.
pub(crate) struct Admission {
    total_max: usize,
    per_address_max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that was let in; dropped, its place is free again.
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{0} connections are open, the most allowed (max.connections)")]
    Total(usize),
    #[error(
        "{0} connections from this address are open, the most allowed (max.connections.per.ip)"
    )]
    Address(usize),
}

impl Admission {
    pub(crate) fn new(total_max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self { total_max, per_address_max, open: Mutex::default() })
    }

    /// Lets a connection from `address` in, if there is room.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, Refused> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.total_max {
            return Err(Refused::Total(self.total_max));
        }
        let from_there = open.by_address.entry(address).or_default();
        if *from_there >= self.per_address_max {
            return Err(Refused::Address(self.per_address_max));
        }
        *from_there += 1;
        open.total += 1;
        Ok(Admitted { admission: Arc::clone(self), address })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold_and_places_come_back() {
        let admission = Admission::new(3, 2);
        let [near, far] = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 9])];
        let first = admission.admit(near).unwrap();
        let _second = admission.admit(near).unwrap();
        assert_eq!(admission.admit(near).err(), Some(Refused::Address(2)));
        let _third = admission.admit(far).unwrap();
        assert_eq!(admission.admit(far).err(), Some(Refused::Total(3)));
        drop(first);
        let _fourth = admission.admit(far).unwrap();
        assert_eq!(admission.open.lock().unwrap().by_address.len(), 2);
    }
}
