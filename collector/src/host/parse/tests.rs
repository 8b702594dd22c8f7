use proptest::prelude::*;

use super::*;

const BAD: Kind = Kind::Malformed;

#[test]
fn cpu_is_the_sum_line() {
    let ticks = from_ticks;
    let expected = CpuModes {
        user: ticks(1),
        nice: ticks(2),
        system: ticks(3),
        idle: ticks(4),
        iowait: ticks(5),
        irq: ticks(6),
        softirq: ticks(7),
        steal: ticks(8),
    };
    for (text, expected) in [
        ("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4\n", Ok(expected)),
        (
            "cpu  1 2 3 4\n",
            Ok(CpuModes {
                user: ticks(1),
                nice: ticks(2),
                system: ticks(3),
                idle: ticks(4),
                ..CpuModes::default()
            }),
        ),
        ("cpu  1 2 3\n", Err(BAD)),
        ("cpu  1 2 x 4\n", Err(BAD)),
        ("cpu0 1 2 3 4\n", Err(BAD)),
        ("", Err(BAD)),
    ] {
        assert_eq!(cpu(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn cpus_are_counted_and_the_boot_time_is_found() {
    let (cpus, booted) = cpus_and_boot(b"cpu  1 2\ncpu0 1\ncpu1 1\nintr 5\nbtime 1700000000\n");
    assert_eq!(
        (cpus, booted),
        (2, Ok(SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1_700_000_000))))
    );
    assert_eq!(cpus_and_boot(b"btime soon\n"), (0, Err(BAD)));
    assert_eq!(cpus_and_boot(b""), (0, Ok(None)));
}

#[test]
fn meminfo_is_in_bytes() {
    let text = "MemTotal:       2 kB\nMemFree:        1 kB\nMemAvailable:  1 kB\nSwapCached: 9 kB\nInactive(file): 3 kB\nHugePages_Total: 4\n";
    let info = meminfo(text.as_bytes()).unwrap();
    assert_eq!(
        (info.total, info.free, info.available, info.inactive_file),
        (2048, 1024, Some(1024), 3072)
    );
    for text in [
        "",
        "MemFree: 1 kB\n",
        "MemTotal: many kB\n",
        "MemTotal:\n",
        "MemTotal: 18446744073709551615 kB\n",
    ] {
        assert_eq!(meminfo(text.as_bytes()), Err(BAD), "{text:?}");
    }
}

#[test]
fn loadavg_is_three_numbers() {
    assert_eq!(loadavg(b"0.01 0.05 1.10 1/234 5678\n"), Ok([0.01, 0.05, 1.1]));
    for text in ["", "1 2\n", "a b c\n", "NaN 1 1\n", "inf 1 1\n", "-1 1 1\n"] {
        assert_eq!(loadavg(text.as_bytes()), Err(BAD), "{text:?}");
    }
}

#[test]
fn oom_kills_are_absent_on_an_old_kernel() {
    for (text, expected) in [
        ("nr_free_pages 1\noom_kill 3\n", (Ok(()), Some(3))),
        ("nr_free_pages 1\n", (Ok(()), None)),
        ("oom_kill x\n", (Err(BAD), None)),
    ] {
        let mut kills = None;
        assert_eq!((oom_kills(text.as_bytes(), &mut kills), kills), expected, "{text:?}");
    }
}

#[test]
fn only_the_nodes_own_interfaces_are_kept() {
    for name in [
        "eth0",
        "ens5",
        "bond0",
        "cni0",
        "docker0",
        "flannel.1",
        "cilium_host",
        "eni1",
        "wlan0",
        "enp3s0",
    ] {
        assert!(is_node_interface(name), "{name}");
    }
    for name in [
        "lo",
        "veth12ab",
        "cali0123456789a",
        "lxc_health",
        "lxc1234",
        "azv12",
        "eni0123456789a",
        "gke0123456789a",
    ] {
        assert!(!is_node_interface(name), "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (cpu(&text), cpus_and_boot(&text), meminfo(&text), loadavg(&text), oom_kills(&text, &mut None));
    }
}
