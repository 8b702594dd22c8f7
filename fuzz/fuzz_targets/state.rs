//! Any state is read or refused, and what is read is written within its bound and reads back the same.
#![no_main]

use collector::state::format::{MAX_BYTES, Place, parse, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let place = Place { node: "n".to_owned(), boot: Some("b".to_owned()) };
    let Ok(kept) = parse(text, &place) else { return };
    let (written, is_whole) = render(&kept, &place);
    assert!(written.len() <= MAX_BYTES);
    assert!(!is_whole || parse(&written, &place).is_ok_and(|again| again == kept));
});
