//! Requests, limits and capacities as series by resource and unit.

use super::emit::Emit;
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
        for (name, value) in &amounts.others {
            let extra = self.extras.resource(name);
            self.put_with(id, entity, &extra, *value);
        }
    }
}
