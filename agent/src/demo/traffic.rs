//! The demo's clients: some thirty requests a second through the proxy, most of them good.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Between two requests on average.
const EVERY: Duration = Duration::from_millis(33);
/// Requests under way; while there are as many, no further one is sent.
const MOST: usize = 64;
/// Nothing here takes a tenth of that.
const WITHIN: Duration = Duration::from_secs(5);
/// Between two looks whether the proxy knows its routes.
const UNTIL_READY: Duration = Duration::from_millis(100);

/// How often, what, and of which host.
static MIX: [(u32, Method, &str, &str); 7] = [
    (300, Method::GET, "shop.demo", "/cart"),
    (120, Method::POST, "shop.demo", "/orders"),
    (180, Method::GET, "billing.demo", "/payments"),
    (30, Method::GET, "billing.demo", "/export"),
    (240, Method::GET, "search.demo", "/"),
    // The app has no such thing, and the Ingress no such path.
    (10, Method::GET, "search.demo", "/missing"),
    (5, Method::GET, "billing.demo", "/favicon.ico"),
];

/// Where the requests go.
pub(super) struct Traffic {
    pub(super) proxy: SocketAddr,
    /// The agent, which says when the proxy is ready.
    pub(super) agent: SocketAddr,
}

type Sender = Client<HttpConnector, Full<Bytes>>;

impl Traffic {
    /// Sends until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let client: Sender = Client::builder(TokioExecutor::new()).build_http();
        stop.run_until_cancelled(self.send(client)).await.unwrap_or(Ok(()))
    }

    async fn send(self, client: Sender) -> anyhow::Result<()> {
        let ready = format!("http://{}/readyz", self.agent).parse().context("no address")?;
        loop {
            match client.get(http::Uri::clone(&ready)).await {
                Ok(answer) if answer.status().is_success() => break,
                _ => sleep(UNTIL_READY).await,
            }
        }
        let mut under_way = JoinSet::new();
        loop {
            sleep(gap(fastrand::f64())).await;
            while under_way.try_join_next().is_some() {}
            if under_way.len() < MOST {
                let request = self.request(pick(fastrand::u32(..whole())))?;
                under_way.spawn(exchange(client.clone(), request));
            }
        }
    }

    fn request(
        &self,
        (_, method, host, path): &(u32, Method, &str, &str),
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let body = if method == Method::POST { "{\"items\": 3}" } else { "" };
        Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.proxy))
            .header(header::HOST, *host)
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .context("a request of the demo is none")
    }
}

async fn exchange(client: Sender, request: Request<Full<Bytes>>) {
    let answered = async {
        let answer = client.request(request).await?;
        answer.into_body().collect().await.map_err(anyhow::Error::from)
    };
    match timeout(WITHIN, answered).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => debug!(error = format!("{error:#}"), "a request of the demo failed"),
        Err(_) => debug!("a request of the demo took too long"),
    }
}

/// The time until the next request, for a number drawn from 0 to 1: as if many clients each came by chance.
fn gap(drawn: f64) -> Duration {
    EVERY.mul_f64(-(1.0 - drawn).max(1e-4).ln())
}

fn whole() -> u32 {
    MIX.iter().map(|(often, ..)| often).sum()
}

/// What a number below [`whole`] stands for.
fn pick(mut drawn: u32) -> &'static (u32, Method, &'static str, &'static str) {
    for kind in &MIX {
        if drawn < kind.0 {
            return kind;
        }
        drawn -= kind.0;
    }
    &MIX[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::plan::FRONTS;

    #[test]
    fn each_kind_is_drawn_as_often_as_it_says() {
        for kind in &MIX {
            let times = (0..whole()).filter(|drawn| std::ptr::eq(pick(*drawn), kind)).count();
            assert_eq!(times, kind.0 as usize, "{} {}", kind.2, kind.3);
        }
    }

    #[test]
    fn gaps_are_as_long_on_average_as_they_should_be() {
        let count = 10_000;
        let sum: Duration = (0..count).map(|at| gap(f64::from(at) / f64::from(count))).sum();
        let average = sum / count;
        assert!(average.abs_diff(EVERY) < Duration::from_millis(1), "{average:?}");
    }

    #[test]
    fn every_path_of_every_host_is_asked_for() {
        for front in &FRONTS {
            for path in front.paths {
                let is_asked = |(_, _, host, asked): &(u32, Method, &str, &str)| {
                    *host == front.host() && asked == path
                };
                assert!(MIX.iter().any(is_asked), "{} {path}", front.host());
            }
        }
    }
}
