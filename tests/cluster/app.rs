//! The application in the pods: this program again, told by a variable to be one.
//!
//! Nothing else in the image keeps connections and ends as an application does: busybox' httpd closes each connection and dies at
//! the first signal. It listens on two ports, answers after the time that the variable says with the name of the pod, the port, the
//! method and the length of the body, and when it is to end it takes no further connection, closes idle ones, answers what it
//! has and exits.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Set in the application to the milliseconds that an answer takes, unset elsewhere.
const VARIABLE: &str = "PODMETER_CLUSTER_APP";
/// The ports called `web` and `admin` in the manifest.
const PORTS: [u16; 2] = [8080, 9090];

/// How long an answer is to take, if this process is to be the application.
pub(crate) fn wanted() -> Option<Duration> {
    let text = std::env::var(VARIABLE).ok()?;
    Some(Duration::from_millis(text.parse().expect("the manifest says a number")))
}

/// Serves until SIGTERM and then until the last answer.
pub(crate) fn serve(delay: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut ended = signal(SignalKind::terminate())?;
        let (connections, end) = (TaskTracker::new(), CancellationToken::new());
        for port in PORTS {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
            let (tracker, end) = (connections.clone(), end.clone());
            connections.spawn(async move {
                loop {
                    let accepted = tokio::select! {
                        () = end.cancelled() => return,
                        accepted = listener.accept() => accepted,
                    };
                    if let Ok((stream, _)) = accepted {
                        tracker.spawn(connection(stream, port, delay, end.clone()));
                    }
                }
            });
        }
        ended.recv().await;
        end.cancel();
        connections.close();
        connections.wait().await;
        Ok(())
    })
}

async fn connection(stream: TcpStream, port: u16, delay: Duration, end: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, port, delay));
    let mut served = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = served.as_mut() => {}
        () = end.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    port: u16,
    delay: Duration,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let method = request.method().clone();
    let length = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
    sleep(delay).await;
    let pod = std::env::var("HOSTNAME").unwrap_or_default();
    Ok(Response::new(format!("{pod} {port} {method} {length}").into()))
}
