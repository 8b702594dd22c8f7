//! Any mount table is read or refused, and no controller is taken twice.
#![no_main]

use std::path::Path;

use collector::cgroup::mounts;
use collector::host::filesystems;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|table: &[u8]| {
    if let Ok(found) = mounts::parse(table, Path::new("/")) {
        let mut all: Vec<_> =
            found.list.iter().flat_map(|hierarchy| &hierarchy.controllers).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
    let mounts = filesystems::parse(table);
    for (at, mount) in mounts.iter().enumerate() {
        assert!(mounts[..at].iter().all(|earlier| earlier.device != mount.device));
    }
});
