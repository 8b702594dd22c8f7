//! Any forwarding headers are read; no stranger is believed, and a trusted peer's word changes nothing left of ours.
#![no_main]

use collector::proxy::forwarded::{Peer, Trust, element};
use collector::proxy::{hop, trace};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let (list, forwarded, connection) = input;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-forwarded-for", list),
        ("forwarded", forwarded),
        ("connection", connection),
        ("te", connection),
        ("traceparent", list),
    ] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    if let Ok(text) = std::str::from_utf8(forwarded) {
        let _ = element::parse(text);
    }
    let _ = trace::sampled(&headers);
    hop::strip_hop_by_hop(&mut headers, true);
    assert!(!headers.contains_key("connection"));

    let trust = Trust::new(&["10.0.0.0/8".parse().expect("a network")]);
    let stranger = Peer::new(&trust, "192.0.2.1:1".parse().expect("an address"), false, None);
    let mut told = headers.clone();
    let client = stranger.client(&told);
    stranger.set(&mut told, &client, None);
    assert_eq!(told["x-forwarded-for"], "192.0.2.1");
    assert_eq!(told["x-real-ip"], "192.0.2.1");
    assert!(!told.contains_key("forwarded"));

    let trusted = Peer::new(&trust, "10.0.0.1:1".parse().expect("an address"), true, None);
    let client = trusted.client(&headers);
    trusted.set(&mut headers, &client, None);
    assert!(headers["x-forwarded-for"].as_bytes().ends_with(b"10.0.0.1"));
    // What we wrote ourselves is read back as the nearest hop: the same client.
    assert_eq!(trusted.client(&headers).ip, client.ip);
});
