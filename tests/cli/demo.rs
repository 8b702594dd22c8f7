//! `podmeter demo`: what it shows, and that nothing of it stays.

use super::*;

/// Every cgroup that a demo with this process id would have made.
fn trees(pid: u32) -> Vec<PathBuf> {
    let name = format!("podmeter-demo-{pid}");
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join(&name));
    hierarchies
        .chain([Path::new("/sys/fs/cgroup").join(&name)])
        .filter(|path| path.exists())
        .collect()
}

/// Processes whose parent is `pid`.
fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes
        .filter(|process: &u32| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let parent =
                stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
            parent == Some(pid)
        })
        .collect()
}

/// The value of the only series that starts with `name` and has all of `labels`.
fn value(page: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let line = page.lines().find(|line| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

struct Demo {
    running: Running,
    address: SocketAddr,
    proxy: SocketAddr,
    has_cgroups: bool,
}

fn demo() -> Demo {
    let arguments =
        ["demo", "--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0", "--interval", "1s"];
    let mut running = Running::start(podmeter(&arguments));
    let mut said = String::new();
    let mut lines = BufReader::new(running.child.stdout.take().unwrap());
    while !said.contains("Ctrl-C to stop.") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "the demo ended: {said}");
    }
    let address = |line: &str| {
        let rest = line.split("http://").nth(1).unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    };
    let proxy = said.lines().find(|line| line.contains("the proxy, with traffic")).unwrap();
    let (address, proxy) = (address(&said), address(proxy));
    Demo { running, address, proxy, has_cgroups: !said.contains("No cgroups could be made") }
}

/// The sum of all series that start with `name` and have all of `labels`.
fn sum(page: &str, name: &str, labels: &[&str]) -> f64 {
    let lines = page.lines().filter(|line| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    });
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn demo_measures_its_pods_through_the_proxy_and_tells_canary_from_stable() {
    const TIME: &str = "http_client_request_duration_seconds";
    let Demo { mut running, address, proxy, .. } = demo();
    let page = until("traffic through every route, and an error", || {
        let page = get(address, "/metrics")?;
        let routes = ["/cart", "/orders", "/payments", "/export", "/"];
        let asked = routes.iter().all(|route| {
            sum(&page, &format!("{TIME}_count"), &[&format!("http_route=\"{route}\"")]) >= 3.0
        });
        let failed = sum(&page, &format!("{TIME}_count"), &["error_type=\"500\""]) > 0.0;
        let unknown = sum(&page, "podmeter_proxy_refused_total", &["reason=\"no_route\""]) > 0.0;
        (asked && failed && unknown).then_some(page)
    });
    let average = |version: &str| {
        let labels = [
            "label_role=\"api\"",
            "label_application=\"shop\"",
            &format!("label_version=\"{version}\""),
        ];
        let of = |part: &str| sum(&page, &format!("{TIME}_{part}"), &labels);
        of("sum") / of("count")
    };
    // What their answers take is a lower bound that no load on this machine changes.
    let (canary, stable) = (average("canary"), average("stable"));
    assert!(canary >= 0.120 && stable >= 0.020 && canary > stable, "{canary} {stable}");

    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /cart HTTP/1.1\r\nHost: shop.demo\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");

    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
    assert!(TcpStream::connect(proxy).is_err(), "nobody listens there any more");
}

#[test]
fn a_taken_address_of_the_demos_proxy_is_told_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(&["demo", "--listen", "127.0.0.1:0", "--proxy-listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&address) && text.contains("--proxy-listen"), "{text}");
}

#[test]
fn demo_shows_real_numbers_under_its_pods_labels_and_leaves_nothing_behind() {
    let Demo { mut running, address, has_cgroups, .. } = demo();
    let pid = running.child.id();
    until("readiness", || get(address, "/readyz"));
    if has_cgroups {
        const MAILER: &[&str] = &[
            "label_application=\"shop\"",
            "label_component=\"mailer\"",
            "label_role=\"worker\"",
            "label_version=\"stable\"",
            "annotation_team=\"storefront\"",
        ];
        let page = || get(address, "/metrics");
        let containers = [
            "checkout", "mailer", "sessions", "payments", "invoices", "ledger", "query", "indexer",
        ];
        let all = until("every container's CPU and memory", || {
            let page = page()?;
            let has = |name: &str| {
                containers.iter().all(|container| {
                    value(&page, name, &[&format!("container=\"{container}\"")])
                        .is_some_and(|value| value > 0.0)
                })
            };
            (has("container_cpu_usage_seconds_total") && has("container_memory_working_set_bytes"))
                .then_some(page)
        });
        assert_eq!(value(&all, "container_spec_memory_limit_bytes", MAILER), Some(67_108_864.0));
        assert!(all.contains("label_version=\"canary\"") && all.contains("label_role=\"cache\""));
        let throttled =
            |page: &str| value(page, "container_cpu_cfs_throttled_seconds_total", MAILER);
        let before = throttled(&all).unwrap();
        until("more throttling", || throttled(&page()?).filter(|now| *now > before));
        assert!(!trees(pid).is_empty() && children(pid).len() >= 9);
    } else {
        eprintln!("no cgroups may be made here: only the demo without processes is tested");
    }
    let workers = children(pid);
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
    assert_eq!(trees(pid), Vec::<PathBuf>::new());
    assert!(workers.iter().all(|worker| !Path::new(&format!("/proc/{worker}")).exists()));
}

#[test]
fn demo_that_is_killed_takes_its_processes_along_and_the_next_one_cleans_up() {
    let Demo { mut running, has_cgroups, .. } = demo();
    let pid = running.child.id();
    let workers = children(pid);
    running.signal(Signal::KILL);
    running.ended();
    let is_gone = |worker: &u32| {
        fs::read_to_string(format!("/proc/{worker}/stat"))
            .map_or(true, |stat| stat.contains(") Z "))
    };
    until("the end of the processes", || workers.iter().all(is_gone).then_some(()));
    if has_cgroups {
        assert!(!trees(pid).is_empty());
        drop(demo());
        assert_eq!(trees(pid), Vec::<PathBuf>::new());
    }
}

#[test]
fn demo_leaves_nothing_behind_when_its_terminal_is_closed() {
    let Demo { mut running, .. } = demo();
    let pid = running.child.id();
    running.signal(Signal::HUP);
    assert_eq!(running.ended(), Some(0));
    assert_eq!(trees(pid), Vec::<PathBuf>::new());
}

#[test]
fn demo_ends_by_itself_when_asked_to() {
    let output = output(&["demo", "--listen", "127.0.0.1:0", "--for", "1s"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("/metrics"));
}
