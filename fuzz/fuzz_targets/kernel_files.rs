//! Every file of a v1 and v2 cgroup and of the node: the first byte chooses, the rest is its text.
#![no_main]

use collector::cgroup::parse::MAX_DEVICES;
use collector::cgroup::{Counters, v1, v2};
use collector::host::parse as host;
use collector::network::pids;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, text)) = input.split_first() else { return };
    let choice = usize::from(choice);
    let mut counters = Counters::default();
    if let Some(spec) = v1::FILES.iter().chain(v2::FILES).nth(choice) {
        let _ = (spec.fill)(text, &mut counters);
        v1::finish(&mut counters);
        assert!(counters.io.len() <= MAX_DEVICES);
        // Reading the same text again says the same.
        let mut again = Counters::default();
        let _ = (spec.fill)(text, &mut again);
        v1::finish(&mut again);
        assert_eq!(counters, again);
        return;
    }
    let _ = host::cpu(text);
    let _ = host::cpus_and_boot(text);
    let _ = host::meminfo(text);
    let _ = host::loadavg(text);
    let _ = host::oom_kills(text, &mut None);
    let _ = pids::ids(text).count();
});
