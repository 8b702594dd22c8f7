//! Any path is understood or not; nothing below a pod's container is a row of its own.
#![no_main]

use collector::cgroup::{PodUid, Scope, path};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = PodUid::parse(text);
    let _ = path::is_ignored(text);
    let enclosing = path::enclosing(text);
    if let Some(scope) = path::classify(text) {
        assert_eq!(enclosing.as_ref(), Some(&scope));
        if let Scope::Container { pod: Some(_), id } = &scope {
            assert!(path::container_ids(text).any(|found| found == id.as_str()));
            let below = format!("{text}/x");
            assert_eq!(path::classify(&below), None);
            assert_eq!(path::enclosing(&below), Some(scope));
        }
    }
});
