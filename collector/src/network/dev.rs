//! The text of `/proc/<pid>/net/dev`: two head lines, then one line an interface.
//!
//! Source: proc(5); Linux `net/core/net-procfs.c`.

use std::sync::Arc;

use super::Interface;
use crate::cgroup::parse::{Outcome, digits, lines, words};
use crate::faults::Kind;

/// Reads the interfaces that `is_wanted` takes into `interfaces`, at most `most`, in place: the same
/// interfaces as before cost no allocation.
///
/// # Errors
/// [`Kind::Malformed`] when a line was left out because it is not what the kernel writes;
/// [`Kind::Bounded`] when there were more.
pub fn parse(
    text: &[u8],
    is_wanted: fn(&str) -> bool,
    most: usize,
    interfaces: &mut Vec<Interface>,
) -> Outcome {
    let mut outcome = Ok(());
    let mut count = 0;
    for line in lines(text).filter(|line| !line.contains(&b'|')) {
        let Some((name, numbers)) = split(line) else {
            outcome = Err(Kind::Malformed);
            continue;
        };
        if !is_wanted(name) {
            continue;
        }
        if count == most {
            outcome = Err(Kind::Bounded);
            break;
        }
        let name = known(interfaces, count, name);
        let interface = interface(name, &numbers);
        match interfaces.get_mut(count) {
            Some(place) => *place = interface,
            None => interfaces.push(interface),
        }
        count += 1;
    }
    interfaces.truncate(count);
    outcome
}

/// The name as it was kept in the last reading, at the same place unless interfaces came or went.
fn known(interfaces: &[Interface], at: usize, name: &str) -> Arc<str> {
    match interfaces.get(at) {
        Some(interface) if &*interface.name == name => Arc::clone(&interface.name),
        _ => Arc::from(name),
    }
}

/// Name and the 16 counters of one line.
fn split(line: &[u8]) -> Option<(&str, [u64; 16])> {
    let at = line.iter().position(|&byte| byte == b':')?;
    let name = std::str::from_utf8(line[..at].trim_ascii()).ok().filter(|name| !name.is_empty())?;
    let mut numbers = [0; 16];
    let mut words = words(&line[at + 1..]);
    for number in &mut numbers {
        *number = digits(words.next()?).ok()?;
    }
    Some((name, numbers))
}

fn interface(name: Arc<str>, numbers: &[u64; 16]) -> Interface {
    Interface {
        name,
        receive_bytes: numbers[0],
        receive_packets: numbers[1],
        receive_errors: numbers[2],
        receive_dropped: numbers[3],
        transmit_bytes: numbers[8],
        transmit_packets: numbers[9],
        transmit_errors: numbers[10],
        transmit_dropped: numbers[11],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";

    fn check(body: &str, expected: &[(&str, u64, u64)], outcome: Outcome) {
        let mut interfaces = Vec::new();
        let text = format!("{HEAD}{body}");
        assert_eq!(
            parse(text.as_bytes(), |name| name != "lo", 2, &mut interfaces),
            outcome,
            "{body}"
        );
        let found: Vec<_> = interfaces
            .iter()
            .map(|found| (&*found.name, found.receive_bytes, found.transmit_dropped))
            .collect();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn each_interface_but_the_unwanted_is_read() {
        check(
            "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
            &[("eth0", 1, 12)],
            Ok(()),
        );
    }

    #[test]
    fn truncated_and_garbage_lines_are_left_out_and_reported() {
        let bad = Err(Kind::Malformed);
        check("eth0: 1 2 3\n", &[], bad);
        check("eth0: many 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", &[], bad);
        check("no colon\neth1: 5 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", &[("eth1", 5, 12)], bad);
        check("", &[], Ok(()));
    }

    #[test]
    fn more_interfaces_than_the_bound_are_reported() {
        let line = |name: &str| format!("{name}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        let body = ["a", "b", "c"].map(line).concat();
        check(&body, &[("a", 1, 12), ("b", 1, 12)], Err(Kind::Bounded));
    }

    #[test]
    fn gone_interface_leaves_the_others_in_place() {
        let line = |name: &str| format!("{name}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        let mut interfaces = Vec::new();
        parse([line("a"), line("b")].concat().as_bytes(), |_| true, 8, &mut interfaces).unwrap();
        parse(line("b").as_bytes(), |_| true, 8, &mut interfaces).unwrap();
        assert_eq!(interfaces.iter().map(|found| &*found.name).collect::<Vec<_>>(), ["b"]);
    }

    proptest! {
        #[test]
        fn any_bytes_give_at_most_the_bound_and_no_panic(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut interfaces = Vec::new();
            let _ = parse(&text, |_| true, 3, &mut interfaces);
            prop_assert!(interfaces.len() <= 3);
        }
    }
}
