//! Names of block devices by their numbers, as cAdvisor writes them: `/dev/sda`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cgroup::Cgroup;

/// Names known so far.
#[derive(Debug)]
pub struct Devices {
    diskstats: PathBuf,
    names: HashMap<(u32, u32), Arc<str>>,
}

impl Devices {
    /// Reads `diskstats` below this `proc` when an unknown device turns up.
    #[must_use]
    pub fn new(proc: &Path) -> Self {
        Self { diskstats: proc.join("diskstats"), names: HashMap::new() }
    }

    /// Makes sure that every device of these cgroups has a name, its numbers if need be.
    pub fn learn(&mut self, cgroups: &[Cgroup]) {
        let known = |names: &HashMap<_, _>| {
            cgroups.iter().flat_map(|row| &row.counters.io).all(|io| names.contains_key(&io.device))
        };
        if known(&self.names) {
            return;
        }
        self.names = parse(&std::fs::read_to_string(&self.diskstats).unwrap_or_default());
        for io in cgroups.iter().flat_map(|row| &row.counters.io) {
            self.names
                .entry(io.device)
                .or_insert_with(|| format!("{}:{}", io.device.0, io.device.1).into());
        }
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &HashMap<(u32, u32), Arc<str>> {
        &self.names
    }
}

/// Reads lines `major minor name …`. Source: Linux `Documentation/admin-guide/iostats.rst`.
fn parse(text: &str) -> HashMap<(u32, u32), Arc<str>> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let numbers = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((numbers, format!("/dev/{}", fields.next()?).into()))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_give_names_and_damaged_lines_none() {
        let names = parse("   8       0 sda 1 2 3\n 253 1 dm-1\n8 x sdb\n\n7\n");
        assert_eq!(names.len(), 2);
        assert_eq!(&*names[&(8, 0)], "/dev/sda");
        assert_eq!(&*names[&(253, 1)], "/dev/dm-1");
    }
}
