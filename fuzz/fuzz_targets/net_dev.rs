//! Any `net/dev` is read within its bound, and the same whether or not there was an earlier reading.
#![no_main]

use collector::host::parse::is_node_interface;
use collector::network::dev;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (before, text) = input;
    let mut reused = Vec::new();
    let _ = dev::parse(before, is_node_interface, 16, &mut reused);
    let outcome = dev::parse(text, is_node_interface, 16, &mut reused);
    let mut fresh = Vec::new();
    assert_eq!(dev::parse(text, is_node_interface, 16, &mut fresh), outcome);
    assert_eq!(fresh, reused);
    assert!(fresh.len() <= 16);
});
