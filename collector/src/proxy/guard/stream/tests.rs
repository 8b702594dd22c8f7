mod properties;
mod upgrades;

use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::*;
use crate::proxy::guard::model::{doubtful, honest};
use crate::proxy::guard::smuggling::{CASES, Outcome};

const TERMS: Terms = Terms {
    limits: Limits { head_bytes: 64 << 10, headers: 100, target_bytes: TARGET_BYTES },
    head: Duration::from_secs(10),
    idle: Duration::from_secs(75),
    write: Duration::from_secs(60),
};

/// What the service was asked: method, target and body.
type Seen = (String, String, Vec<u8>);

/// A server of hyper behind a guard, and the client's end of the connection.
struct Server {
    client: DuplexStream,
    verdict: Arc<Verdict>,
    seen: Arc<Mutex<Vec<Seen>>>,
    tasks: JoinSet<hyper::Result<()>>,
}

/// As a forwarder does it: refuses what is to be refused, else answers with the body that came. A request to `/slow`
/// takes 200 seconds, one to `/long` has an answer of a mebibyte.
async fn serve(
    request: Request<Incoming>,
    verdict: Arc<Verdict>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let turn = verdict.next();
    let answer = |status: StatusCode, body: Bytes| {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        Ok(response)
    };
    if let Some(reason) = turn.refused() {
        return answer(reason.status(), Bytes::from_static(reason.as_str().as_bytes()));
    }
    let (method, target) = (request.method().to_string(), request.uri().to_string());
    if request.uri().path() == "/slow" {
        sleep(Duration::from_secs(200)).await;
    }
    if request.headers().contains_key("x-upgrade") {
        verdict.upgrade();
        return answer(StatusCode::SWITCHING_PROTOCOLS, Bytes::new());
    }
    let Ok(body) = request.into_body().collect().await else {
        let reason = verdict.broken().map_or("unknown", Refusal::as_str);
        return answer(StatusCode::BAD_REQUEST, Bytes::from_static(reason.as_bytes()));
    };
    let body = body.to_bytes();
    seen.lock().unwrap().push((method, target.clone(), body.to_vec()));
    let body = if target == "/long" { Bytes::from(vec![0; 1 << 20]) } else { body };
    answer(StatusCode::OK, body)
}

impl Server {
    fn over(stream: Stream<DuplexStream>, client: DuplexStream) -> Self {
        let verdict = stream.verdict();
        let seen = Arc::default();
        let service = {
            let (verdict, seen) = (Arc::clone(&verdict), Arc::clone(&seen));
            service_fn(move |request| serve(request, Arc::clone(&verdict), Arc::clone(&seen)))
        };
        let mut tasks = JoinSet::new();
        match stream.protocol() {
            Protocol::Http1 => tasks.spawn(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades(),
            ),
            Protocol::Http2 => {
                let (io, retired) = (TokioIo::new(stream), Arc::clone(&verdict));
                tasks.spawn(async move {
                    let server = http2::Builder::new(TokioExecutor::new());
                    let mut serving = std::pin::pin!(server.serve_connection(io, service));
                    tokio::select! {
                        biased;
                        outcome = serving.as_mut() => outcome,
                        () = retired.retired() => {
                            serving.as_mut().graceful_shutdown();
                            serving.await
                        }
                    }
                })
            }
        };
        Self { client, verdict, seen, tasks }
    }

    fn start() -> Self {
        let (near, client) = duplex(4 << 10);
        Self::over(Stream::new(near, Protocol::Http1, TERMS), client)
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    /// Everything that the client is sent until the connection is closed, which must be before the idle time is up.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        timeout(Duration::from_secs(70), self.client.read_to_end(&mut bytes))
            .await
            .expect("the connection is closed")
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// The next answer with its body, which must have a length.
    async fn answer(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(self.client.read_u8().await.unwrap());
        }
        let head = String::from_utf8(bytes).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.client.read_exact(&mut body).await.unwrap();
        head + std::str::from_utf8(&body).unwrap()
    }
}

fn statuses(answers: &str) -> Vec<u16> {
    let heads = answers.split("HTTP/1.").skip(1);
    // What was echoed can have the word in it as well.
    heads.filter_map(|head| head.get(2..5)?.parse().ok()).collect()
}

/// Every case of the table against a real server: whole, and byte by byte.
#[tokio::test(start_paused = true)]
async fn clients_of_the_table_are_answered_as_it_says() {
    for case in CASES {
        for piece in [usize::MAX, 1] {
            let mut server = Server::start();
            let (mut read, mut write) = tokio::io::split(server.client);
            let send = async {
                for bytes in case.bytes.chunks(piece.min(case.bytes.len())) {
                    // A server that has refused enough may close before all of it is sent.
                    if write.write_all(bytes).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            };
            let mut answers = Vec::new();
            let read = timeout(Duration::from_secs(5), read.read_to_end(&mut answers));
            let ((), closed) = tokio::join!(send, read);
            let answers = String::from_utf8_lossy(&answers);
            let (passed, status) = match case.outcome {
                Outcome::Refused(passed, status, reason)
                | Outcome::Broken(passed, status, reason) => {
                    assert!(closed.is_ok(), "{}: not closed", case.name);
                    assert!(answers.ends_with(reason), "{}: {answers}", case.name);
                    (passed, Some(status))
                }
                // What a tunnel or an upgrade would make of the connection is in other tests.
                Outcome::Forwarder(_, _, "connect" | "upgrade") => continue,
                // Such a request must get as far as the service, or there is nobody to refuse it by its reason.
                Outcome::Passes(passed) | Outcome::Forwarder(passed, ..) => (passed, None),
            };
            let expected: Vec<_> = std::iter::repeat_n(200, passed).chain(status).collect();
            assert_eq!(statuses(&answers), expected, "{} by {piece}: {answers}", case.name);
            assert_eq!(server.seen.lock().unwrap().len(), passed, "{}", case.name);
            server.tasks.shutdown().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_waits_for_its_turn() {
    let mut server = Server::start();
    server.send(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
    server.send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n").await;
    // More than the pipe holds: the server goes on reading, and throws it away.
    server.send(&vec![b'x'; 64 << 10]).await;
    assert!(server.answer().await.ends_with("\r\n\r\nhi"));
    let rest = server.rest().await;
    assert!(rest.starts_with("HTTP/1.1 400") && rest.contains("connection: close\r\n"), "{rest}");
    assert!(rest.ends_with("header_name"), "{rest}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_has_closed_its_side_is_answered_all_the_same() {
    let mut server = Server::start();
    server.send(b"GET / HTTP/1.1\n\n").await;
    server.client.shutdown().await.unwrap();
    assert!(server.rest().await.ends_with("bare_lf"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_sending_gets_its_answer_before_the_connection_ends() {
    let mut server = Server::start();
    server.send(b"GET / HTTP/1.1\n\n").await;
    let started = Instant::now();
    let (mut read, mut write) = tokio::io::split(server.client);
    let send = async {
        while write.write_all(&[b'x'; 1024]).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let mut answer = Vec::new();
    let (_, ()) = tokio::join!(read.read_to_end(&mut answer), send);
    assert!(answer.ends_with(b"bare_lf"));
    assert!((2..4).contains(&started.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_late_head_is_refused_ten_seconds_after_its_first_byte() {
    let mut server = Server::start();
    sleep(Duration::from_secs(30)).await;
    let started = Instant::now();
    let send = async |client: &mut DuplexStream| {
        for byte in b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaa" {
            let _ = client.write_all(&[*byte]).await;
            sleep(Duration::from_millis(500)).await;
        }
    };
    send(&mut server.client).await;
    let rest = server.rest().await;
    assert!(rest.starts_with("HTTP/1.1 408") && rest.ends_with("head_timeout"), "{rest}");
    assert!(started.elapsed() < Duration::from_secs(25));
    assert_eq!(server.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_head_has_its_own_time() {
    let mut server = Server::start();
    for _ in 0..4 {
        server.send(b"GET / HTTP/1.1\r\n").await;
        sleep(Duration::from_secs(8)).await;
        server.send(b"Host: a\r\n\r\n").await;
        assert!(server.answer().await.starts_with("HTTP/1.1 200"));
    }
    // An empty line behind a request is not the begin of another.
    server.send(b"\r\n").await;
    sleep(Duration::from_secs(60)).await;
    server.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(server.answer().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_without_a_word() {
    let mut server = Server::start();
    server.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.answer().await;
    let started = Instant::now();
    let mut rest = Vec::new();
    server.client.read_to_end(&mut rest).await.unwrap();
    assert_eq!((rest.as_slice(), started.elapsed().as_secs()), (&b""[..], 75));
    server.tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_request_takes_long_is_not_idle() {
    let mut server = Server::start();
    let started = Instant::now();
    server.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(server.answer().await.starts_with("HTTP/1.1 200"));
    assert_eq!(started.elapsed().as_secs(), 200);
    let mut rest = Vec::new();
    server.client.read_to_end(&mut rest).await.unwrap();
    assert_eq!((rest.as_slice(), started.elapsed().as_secs()), (&b""[..], 275));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut_off() {
    let mut server = Server::start();
    let started = Instant::now();
    server.send(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(server.tasks.join_next().await.unwrap().unwrap().is_err());
    assert_eq!(started.elapsed(), TERMS.write);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_little_is_not() {
    let mut server = Server::start();
    server.send(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut piece = vec![0; 64 << 10];
    for _ in 0..16 {
        sleep(Duration::from_secs(50)).await;
        server.client.read_exact(&mut piece).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.verdict.received(), 31);
    assert!(server.verdict.sent() > 1 << 20);
}

#[tokio::test(start_paused = true)]
async fn a_begun_head_behind_each_read_does_not_pile_up() {
    let (near, mut client) = duplex(100);
    let mut stream = Stream::new(near, Protocol::Http1, TERMS);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut seen = 0;
    client.write_all(&request[..5]).await.unwrap();
    for _ in 0..1000 {
        client.write_all(&request[5..]).await.unwrap();
        client.write_all(&request[..5]).await.unwrap();
        let mut buf = [0; 64];
        seen += stream.read(&mut buf).await.unwrap();
        assert!(stream.held.bytes.capacity() < 256);
    }
    assert_eq!(seen, 1000 * request.len());
}

#[tokio::test(start_paused = true)]
async fn a_connection_tells_what_it_speaks_with_its_first_bytes() {
    for (begin, protocol) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], Protocol::Http1),
        (b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", Protocol::Http1),
        (b"PRI * HTTP/2.1\r\n\r\n", Protocol::Http1),
        (PREFACE, Protocol::Http2),
    ] {
        for piece in [1, 23, 100] {
            let (near, mut client) = duplex(4 << 10);
            let send = async {
                for bytes in begin.chunks(piece) {
                    client.write_all(bytes).await.unwrap();
                    sleep(Duration::from_millis(10)).await;
                }
            };
            let (stream, ()) = tokio::join!(Stream::sniff(near, TERMS), send);
            assert_eq!(stream.unwrap().protocol(), protocol);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_to_see_what_a_client_speaks_is_not_lost() {
    let (near, mut client) = duplex(4 << 10);
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /")
        .await
        .unwrap();
    let mut server = Server::over(Stream::sniff(near, TERMS).await.unwrap(), client);
    assert!(server.answer().await.ends_with("hi"));
    server.send(b"b HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.answer().await;
    assert_eq!(server.seen.lock().unwrap()[1].1, "/b");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_within_the_preface_is_too_slow_and_one_that_says_nothing_is_gone() {
    let started = Instant::now();
    let (near, mut client) = duplex(4 << 10);
    sleep(Duration::from_secs(5)).await;
    client.write_all(b"PRI * HT").await.unwrap();
    let mut server = Server::over(Stream::sniff(near, TERMS).await.unwrap(), client);
    assert!(server.rest().await.ends_with("head_timeout"));
    assert_eq!(started.elapsed().as_secs(), 15);

    let (near, _client) = duplex(4 << 10);
    let error = Stream::sniff(near, TERMS).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let (near, client) = duplex(4 << 10);
    drop(client);
    let error = Stream::sniff(near, TERMS).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

async fn http2(
    terms: Terms,
) -> (Server, hyper::client::conn::http2::SendRequest<Full<Bytes>>, JoinSet<()>) {
    let (near, client) = duplex(64 << 10);
    let connecting =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client));
    let (sniffed, connected) = tokio::join!(Stream::sniff(near, terms), connecting);
    let (sender, connection) = connected.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async { drop(connection.await) });
    (Server::over(sniffed.unwrap(), duplex(1).0), sender, tasks)
}

#[tokio::test(start_paused = true)]
async fn http2_is_served_and_ends_when_it_is_idle() {
    let (mut server, mut sender, _tasks) = http2(TERMS).await;
    assert_eq!(server.verdict.broken(), None);
    let ask = |path: &str, body: Vec<u8>| {
        let request = Request::post(format!("http://a{path}"));
        request.body(Full::new(Bytes::from(body))).unwrap()
    };
    let started = Instant::now();
    let answer = sender.send_request(ask("/", vec![7; 200_000])).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 200_000);
    // A stream without a byte either way is no idle connection.
    sender.send_request(ask("/slow", vec![])).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 200);
    // The client may well be the first to hang up once it is told good-bye.
    let _ = server.tasks.join_next().await.unwrap().unwrap();
    assert_eq!(started.elapsed().as_secs(), 275);
    assert_eq!(server.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn pings_keep_no_connection_of_http2_from_being_idle() {
    let (near, mut client) = duplex(64 << 10);
    client.write_all(PREFACE).await.unwrap();
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut server = Server::over(Stream::sniff(near, TERMS).await.unwrap(), client);
    let started = Instant::now();
    let retired = {
        let verdict = Arc::clone(&server.verdict);
        async move { verdict.retired().await }
    };
    let mut retired = std::pin::pin!(retired);
    while timeout(Duration::from_secs(20), retired.as_mut()).await.is_err() {
        assert!(started.elapsed() < 2 * TERMS.idle, "the client is still there");
        server.send(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await;
    }
    assert_eq!(started.elapsed(), TERMS.idle);
}

#[tokio::test(start_paused = true)]
async fn a_flood_ends_a_connection_of_http2() {
    let (near, mut client) = duplex(64 << 10);
    client.write_all(PREFACE).await.unwrap();
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut server = Server::over(Stream::sniff(near, TERMS).await.unwrap(), client);
    server.send(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].repeat(101)).await;
    assert!(server.tasks.join_next().await.unwrap().unwrap().is_err());
    assert_eq!(server.verdict.broken(), Some(Refusal::Http2Flood));
}

#[tokio::test(start_paused = true)]
async fn a_header_block_of_http2_that_does_not_end_is_a_late_head() {
    let (near, mut client) = duplex(64 << 10);
    client.write_all(PREFACE).await.unwrap();
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut server = Server::over(Stream::sniff(near, TERMS).await.unwrap(), client);
    sleep(Duration::from_secs(30)).await;
    server.send(&[0, 0, 0, 1, 0, 0, 0, 0, 1]).await;
    let started = Instant::now();
    assert!(server.tasks.join_next().await.unwrap().unwrap().is_err());
    assert_eq!(server.verdict.broken(), Some(Refusal::HeadTimeout));
    assert_eq!(started.elapsed(), TERMS.head);
}
