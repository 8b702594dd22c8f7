//! Requests, limits and capacities as series by resource and unit.

use super::emit::Emit;
use super::extras::is_same_resource;
use crate::pods::model::Amounts;
use crate::schema::Id;

impl Emit<'_, '_> {
    pub(super) fn amounts(&mut self, id: Id, entity: u32, amounts: &Amounts) {
        let fixed = self.fixed;
        let known = [
            (&fixed.cpu, amounts.cpu),
            (&fixed.memory, amounts.memory),
            (&fixed.storage, amounts.ephemeral_storage),
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
            let extra = self.extras.resource(name);
            self.put_with(id, entity, &extra, value + more);
        }
    }
}
