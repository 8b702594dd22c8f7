//! Which path answers what.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::{Body, Incoming};

use super::answer::{self, Answer};
use super::{BODY_BYTES, Refusal, Shared, health, scrape};

/// Every path, with what it is for.
const PATHS: [(&str, &str); 5] = [
    ("/", "this list"),
    ("/metrics", "every series: text, OpenMetrics or protobuf, as Accept asks"),
    ("/livez", "200 while sampling goes on"),
    ("/readyz", "200 once every check holds; ?verbose lists them"),
    ("/api/v1/snapshot", "the containers of the latest tick as JSON; its shape may still change"),
];

/// What handlers need of a request.
pub(super) struct Asked {
    pub(super) head: bool,
    pub(super) headers: HeaderMap,
}

/// The paths that nobody needs a right for: who probes has none.
const HEALTH: [&str; 2] = ["/livez", "/readyz"];

/// Answers one request. Who may ask for what is decided before anything else is looked at; `certified` says that the
/// connection's client showed a good certificate.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    certified: bool,
) -> Answer {
    // The body is left unread: hyper closes the connection if it does not come with the head.
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path();
    let known = PATHS.iter().map(|(known, _)| *known).find(|known| *known == path);
    if !known.is_some_and(|known| HEALTH.contains(&known)) {
        // What is said of an unknown path is what the list of paths says, so it needs the same right.
        let right = known.unwrap_or("/");
        if let Err(denied) = shared.entry.access.check(&parts.headers, right, certified).await {
            return denied.answer();
        }
        parts.headers.remove(AUTHORIZATION);
    }
    if body.size_hint().lower() > BODY_BYTES {
        shared.stats.refuse(Refusal::BodyTooLarge);
        return answer::plain(StatusCode::PAYLOAD_TOO_LARGE, "Nothing here takes a body.\n");
    }
    let Some(path) = known else {
        shared.stats.refuse(Refusal::NotFound);
        return answer::plain(StatusCode::NOT_FOUND, not_found());
    };
    if parts.method != Method::GET && parts.method != Method::HEAD {
        shared.stats.refuse(Refusal::MethodNotAllowed);
        return answer::method_not_allowed();
    }
    let asked = Asked { head: parts.method == Method::HEAD, headers: parts.headers };
    match path {
        "/metrics" => scrape::metrics(shared, asked).await,
        "/api/v1/snapshot" => scrape::json(shared, asked).await,
        "/livez" => livez(shared),
        "/readyz" => readyz(shared, parts.uri.query().unwrap_or_default()),
        _ => answer::with(StatusCode::OK, answer::HTML, index()),
    }
}

fn livez(shared: &Shared) -> Answer {
    match health::stuck(&shared.ticks, shared.started, shared.settings.stuck_after) {
        None => answer::plain(StatusCode::OK, "ok\n"),
        Some(sentence) => answer::unavailable(sentence),
    }
}

fn readyz(shared: &Shared, query: &str) -> Answer {
    let checks = shared.readiness.checks();
    let verbose = query.split('&').any(|part| part == "verbose" || part.starts_with("verbose="));
    match checks.iter().all(health::Check::is_ok) {
        true if verbose => answer::plain(StatusCode::OK, health::report(&checks)),
        true => answer::plain(StatusCode::OK, "ok\n"),
        false => answer::unavailable(health::report(&checks)),
    }
}

fn not_found() -> String {
    let paths = PATHS.map(|(path, what)| format!("{path}\t{what}\n")).concat();
    format!("Nothing is here. What there is:\n{paths}")
}

fn index() -> String {
    let links = PATHS
        .map(|(path, what)| format!("<li><a href=\"{path}\">{path}</a>: {what}</li>\n"))
        .concat();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Podmeter</title>\n<h1>Podmeter {version}</h1>\n<ul>\n{links}</ul>\n</html>\n"
    )
}
