//! An update under a scraper that asks every second.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::client::Target;
use crate::cluster::continuity::went_back;
use crate::cluster::page::Page;
use crate::install::reader::reader;
use crate::install::release::Release;
use crate::install::suite::Suite;
use crate::install::workload::{self, POD};

/// Between two ticks, unless the configuration says otherwise.
const TICK: Duration = Duration::from_secs(10);
/// Between two scrapes.
const SCRAPE: Duration = Duration::from_secs(1);

pub(crate) fn update_costs_a_scraper_no_more_than_a_tick(suite: &Suite) {
    let release = Release::by_helm(suite, "update", "");
    workload::start(&release);
    let token = reader(&release, "watcher");
    let before = release.pod()["metadata"]["uid"].clone();
    let stop = AtomicBool::new(false);
    let pages = thread::scope(|scope| {
        let scraper = scope.spawn(|| scraped(&release, &token, &stop));
        // Whatever panics here has to end the scraper as well.
        let end = Stop(&stop);
        thread::sleep(3 * SCRAPE);
        // A changed configuration rolls the pods by its checksum; then the same by hand.
        release.helm("upgrade", "config: {labels: {exclude: [nothing]}}");
        release.ready();
        let name = format!("daemonset/{}", release.name);
        release.kubectl(&["rollout", "restart", &name]);
        release.ready();
        thread::sleep(3 * SCRAPE);
        drop(end);
        scraper.join().expect("the scraper ends")
    });
    assert_ne!(release.pod()["metadata"]["uid"], before, "nothing was updated");
    judge(&pages, &release.name);
}

/// Every page that has the workload's series, from whichever pod answers.
fn scraped(release: &Release<'_>, token: &str, stop: &AtomicBool) -> Vec<Page> {
    let mut pages = Vec::new();
    while !stop.load(Relaxed) {
        let asked = Instant::now();
        for address in release.addresses() {
            let target = Target {
                bearer: Some(token.to_owned()),
                patience: SCRAPE,
                ..Target::plain(address, &release.name)
            };
            let Ok(answer) = target.get("/metrics") else { continue };
            if answer.status != 200 {
                continue;
            }
            let page = Page::strict(&answer.body).unwrap_or_else(|fault| panic!("{fault}"));
            if page.one("container_cpu_usage_seconds_total", &of_workload(&release.name)).is_some()
            {
                pages.push(page);
            }
        }
        thread::sleep(SCRAPE.saturating_sub(asked.elapsed()));
    }
    pages
}

fn of_workload(namespace: &str) -> [(&'static str, &str); 3] {
    [("namespace", namespace), ("pod", POD), ("container", "web")]
}

fn judge(pages: &[Page], namespace: &str) {
    let gaps = pages.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at));
    let longest = gaps.max().expect("there are pages");
    let (first, last) = (pages.first().expect("a page"), pages.last().expect("a page"));
    let value = |page: &Page| {
        page.value("container_cpu_usage_seconds_total", &of_workload(namespace)).expect("a value")
    };
    assert!(value(last) > value(first), "the counter stands");
    eprintln!(
        "install: longest time without a page over two updates: {:.1} s in {} pages",
        longest.as_secs_f64(),
        pages.len()
    );
    // One tick is lost where the next one comes in time.
    assert!(longest <= 2 * TICK, "no page for {longest:?}");
    for pair in pages.windows(2) {
        // What Podmeter counts of itself begins anew with its process.
        let fault = went_back(&pair[0], &pair[1], |series| series.label("namespace") == namespace);
        assert_eq!(fault, None);
    }
}

/// Ends the scraper however the case ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
