//! Requests, limits and capacities as series by resource and unit.

use super::emit::Emit;
use super::extras::{Units, is_same_resource};
use crate::pods::model::Amounts;
use crate::schema::Id;

impl Emit<'_, '_> {
    pub(super) fn amounts(&mut self, id: Id, entity: u32, amounts: &Amounts) {
        let units = &self.fixed.state_metrics;
        self.amounts_in(units, id, entity, amounts);
    }

    /// `units` are words: kube-state-metrics writes `core` and `byte` where the scheduler writes `cores` and `bytes`.
    pub(super) fn amounts_in(&mut self, units: &Units, id: Id, entity: u32, amounts: &Amounts) {
        let known = [
            (&units.cpu, amounts.cpu),
            (&units.memory, amounts.memory),
            (&units.storage, amounts.ephemeral_storage),
        ];
        for (extra, value) in known {
            if let Some(value) = value {
                self.put_with(id, entity, extra, value);
            }
        }
        let others = &amounts.others;
        for (at, (name, value)) in others.iter().enumerate() {
            // Two names that differ in punctuation alone have one series.
            if others[..at].iter().any(|(other, _)| is_same_resource(other, name)) {
                continue;
            }
            let same = others[at + 1..].iter().filter(|(other, _)| is_same_resource(other, name));
            let more: f64 = same.map(|(_, value)| value).sum();
            let extra = self.extras.resource(name, units.bytes);
            self.put_with(id, entity, &extra, value + more);
        }
    }
}
