//! Any start of a connection is a PROXY header, the start of one, or neither; and more bytes never change which.
#![no_main]

use collector::proxy::preamble::{Parsed, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut verdict = None;
    for end in 0..=bytes.len().min(2_200) {
        let now = parse(&bytes[..end]);
        match (&verdict, &now) {
            (Some(earlier), _) => assert_eq!(earlier, &now),
            (None, Ok(Parsed::Part(needed))) => assert!(*needed > end && *needed <= 16 + 2_048),
            (None, Ok(Parsed::Whole { length, .. })) => {
                assert_eq!(*length, end);
                verdict = Some(now);
            }
            (None, Err(_)) => verdict = Some(now),
        }
    }
});
