//! h2load and wrk: thousands of requests, none fails, and the proxy counts as many as they do.

use std::process::Command;
use std::time::Duration;

use crate::nginx::Nginx;
use crate::program::{find, run};
use crate::proxy::{Settings, sum};
use crate::{Case, Shown};

pub(crate) const CASES: &[Case] = &[
    ("h2load_over_http1", || agrees(&["--h1", "-c", "32"], false, "/1k")),
    ("h2load_over_http2_with_prior_knowledge", || agrees(&["-c", "8", "-m", "32"], false, "/1k")),
    ("h2load_over_http1_and_tls", || agrees(&["--h1", "-c", "32"], true, "/1k")),
    ("h2load_over_http2_and_tls", || agrees(&["-c", "8", "-m", "32"], true, "/1k")),
    ("h2load_with_bodies_and_as_many_streams_as_are_allowed", || {
        agrees(&["-c", "2", "-m", "100", "-d", "tests/tools.rs"], false, "/taken")
    }),
    ("wrk_counts_as_the_proxy_does", wrk_agrees),
];

/// Requests of one run.
const REQUESTS: f64 = 10_000.0;
const MOST: Duration = Duration::from_secs(180);

/// One run of h2load.
#[derive(Debug)]
pub(crate) struct H2load(Command);

/// What h2load counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) succeeded: u64,
    /// Also those that broke off or came too late.
    pub(crate) failed: u64,
    /// Answers of 200 to 299.
    pub(crate) ok: u64,
}

impl H2load {
    /// With these arguments.
    pub(crate) fn new(arguments: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(find("h2load")?);
        command.args(arguments);
        Ok(Self(command))
    }

    /// Further arguments. Files are named as from the top of the repository.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        self
    }

    /// Runs to the end of its requests, over plain connections.
    pub(crate) fn run(self, address: std::net::SocketAddr, path: &str) -> Done {
        self.to(&format!("http://{address}{path}"))
    }

    /// The same for any URL.
    pub(crate) fn to(mut self, url: &str) -> Done {
        let text = run(self.0.arg(url), MOST).text();
        let number = |line: &str, what: &str| -> u64 {
            let line = text.lines().find_map(|found| found.strip_prefix(line));
            let part = line
                .and_then(|line| line.split(',').find_map(|part| part.trim().strip_suffix(what)));
            part.and_then(|number| number.trim().parse().ok())
                .unwrap_or_else(|| panic!("no {what} in what h2load says: {text}"))
        };
        Done {
            succeeded: number("requests:", " succeeded"),
            failed: number("requests:", " failed")
                + number("requests:", " errored")
                + number("requests:", " timeout"),
            ok: number("status codes:", " 2xx"),
        }
    }
}

fn agrees(arguments: &[&str], is_tls: bool, path: &str) -> Shown {
    let nginx = Nginx::site("location = /taken { return 200 taken; }")?;
    let proxy = Settings { is_tls, ..Settings::to(nginx.address) }.start()?;
    let (scheme, address) = if is_tls { ("https", proxy.secure()) } else { ("http", proxy.plain) };
    let number = REQUESTS.to_string();
    let load = H2load::new(&["-n", &number])?.with(arguments);
    let done = load.to(&format!("{scheme}://{address}{path}"));
    assert_eq!((done.succeeded, done.failed, done.ok), (10_000, 0, 10_000), "{done:?}");
    assert_eq!(proxy.answered(&[("http_response_status_code", "200")]), REQUESTS);
    let page = proxy.page();
    let count = |name, labels: &[(&str, &str)]| sum(&page, name, labels);
    assert_eq!(count("http_server_request_duration_seconds_count", &[]), REQUESTS);
    let ok = [("http_response_status_code", "200")];
    assert_eq!(count("http_client_request_duration_seconds_count", &ok), REQUESTS);
    assert_eq!(count("podmeter_proxy_refused_total", &[]), 0.0);
    Ok(())
}

/// wrk ends in the middle of its last requests: these the proxy has counted, and wrk has not.
fn wrk_agrees() -> Shown {
    const CONNECTIONS: f64 = 16.0;
    let nginx = Nginx::site("")?;
    let proxy = Settings::to(nginx.address).start()?;
    let mut command = Command::new(find("wrk")?);
    command.args(["-t", "1", "-c", &CONNECTIONS.to_string(), "-d", "2s", "--timeout", "30s"]);
    let said = run(command.arg(format!("http://{}/1k", proxy.plain)), MOST).text();
    let line = said.lines().find(|line| line.contains(" requests in ")).unwrap();
    let counted: f64 = line.trim().split(' ').next().unwrap().parse().unwrap();
    assert!(counted > 100.0, "{said}");
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
    let answered = proxy.answered(&[]);
    assert!((counted..=counted + CONNECTIONS).contains(&answered), "{answered}, and {said}");
    Ok(())
}
