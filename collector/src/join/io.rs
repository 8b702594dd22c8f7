//! Block I/O of one cgroup, held to never go back.
//!
//! cgroup v1 sums a pod's `_recursive` files over the cgroups that are there: a container that is replaced
//! takes its share with it. What was seen of it is added again here.

use serde::{Deserialize, Serialize};

use crate::cgroup::DeviceIo;

/// What was seen of each device. A cgroup uses one or two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct IoTotals(Vec<Total>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Total {
    device: (u32, u32),
    read: [u64; 4],
    /// What went with cgroups that are gone.
    lost: [u64; 4],
}

impl IoTotals {
    /// Whether no device was seen.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both lost the same of the same devices.
    pub(crate) fn lost_same(&self, other: &Self) -> bool {
        let lost = |totals: &Self| {
            totals.0.iter().map(|total| (total.device, total.lost)).collect::<Vec<_>>()
        };
        lost(self) == lost(other)
    }

    /// Bytes read, bytes written, reads and writes so far.
    pub(super) fn of(&mut self, io: &DeviceIo) -> [u64; 4] {
        let now = [io.read_bytes, io.write_bytes, io.reads, io.writes];
        let Some(total) = self.0.iter_mut().find(|total| total.device == io.device) else {
            self.0.push(Total { device: io.device, read: now, lost: [0; 4] });
            return now;
        };
        for ((lost, was), is) in total.lost.iter_mut().zip(total.read).zip(now) {
            *lost = lost.saturating_add(was.saturating_sub(is));
        }
        total.read = now;
        std::array::from_fn(|at| now[at].saturating_add(total.lost[at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(device: u32, bytes: u64) -> DeviceIo {
        DeviceIo { device: (254, device), write_bytes: bytes, ..DeviceIo::default() }
    }

    #[test]
    fn what_went_with_a_container_stays_in_its_pods_total() {
        let mut totals = IoTotals::default();
        let mut total = |device, bytes| totals.of(&written(device, bytes))[1];
        assert_eq!(total(0, 100), 100);
        assert_eq!(total(1, 7), 7);
        assert_eq!(total(0, 40), 100, "one of two containers ended");
        assert_eq!(total(0, 45), 105);
        assert_eq!(total(0, 0), 105, "the other as well");
        assert_eq!(total(0, 3), 108);
        assert_eq!(total(1, 7), 7);
    }

    #[test]
    fn what_went_while_nobody_looked_stays_in_the_total_that_is_kept() {
        let mut totals = IoTotals::default();
        assert_eq!(totals.of(&written(0, 100))[1], 100);
        let text = serde_json::to_string(&totals).unwrap();
        let mut resumed: IoTotals = serde_json::from_str(&text).unwrap();
        assert_eq!(resumed.of(&written(0, 30))[1], 100);
        assert!(!resumed.lost_same(&totals));
    }
}
