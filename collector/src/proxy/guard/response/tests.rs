use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const LIMITS: Limits = Limits { head_bytes: 512, headers: 8, target_bytes: 64 };

fn read(bytes: &[u8], cuts: &[usize]) -> Result<bool, Fault> {
    let mut answer = Answer::new(LIMITS);
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        if answer.read(&bytes[start..end])? {
            return Ok(true);
        }
        start = end;
    }
    Ok(false)
}

fn check(answer: &str, expected: Result<bool, Fault>) {
    assert_eq!(read(answer.as_bytes(), &[]), expected, "{answer:?}");
    for cut in 0..=answer.len() {
        assert_eq!(read(answer.as_bytes(), &[cut]), expected, "{answer:?} cut at {cut}");
    }
}

#[test]
fn honest_answers_pass() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200\r\n\r\nuntil the end\n\0",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.0 404 Nicht gefund\u{e9}n\r\nServer: x\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 299 x\r\nHost: a\r\nHost: b\r\nUpgrade: x\r\n\r\n",
    ] {
        check(answer, Ok(true));
    }
    check("HTTP/1.1 100 Continue\r\n\r\n", Ok(false));
}

#[test]
fn answers_of_two_readings_are_refused() {
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    for (fields, reason) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Refusal::BothLengths),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Refusal::BothLengths),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Refusal::ContentLength),
        ("Content-Length: 5, 5\r\n", Refusal::ContentLength),
        ("Content-Length: +5\r\n", Refusal::ContentLength),
        ("Transfer-Encoding: gzip, chunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: identity\r\n", Refusal::TransferEncoding),
        ("X: y\n", Refusal::BareLf),
        ("X: y\rz\r\n", Refusal::BareCr),
        ("X: y\r\n z\r\n", Refusal::ObsFold),
        ("X : y\r\n", Refusal::HeaderName),
        ("X: \0\r\n", Refusal::HeaderValue),
        (
            "X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n",
            Refusal::Headers,
        ),
    ] {
        check(&head(fields), Err(Fault::Fields(reason)));
    }
    check(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        Err(Fault::Fields(Refusal::TransferEncoding)),
    );
    check(&head(&format!("X: {}\r\n", "y".repeat(500))), Err(Fault::Fields(Refusal::Headers)));
    check(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(30), Err(Fault::Fields(Refusal::Headers)));
    for line in [
        "HTTP/2 200 OK\r\n",
        "HTTP/1.2 200 OK\r\n",
        "http/1.1 200 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 020 OK\r\n",
        "HTTP/1.1 2x0 OK\r\n",
        "HTTP/1.1 200 O\0K\r\n",
        "<html>\r\n",
        "\r\nHTTP/1.1 200 OK\r\n",
    ] {
        check(line, Err(Fault::StatusLine));
    }
    check("HTTP/1.1 200 OK\n\n", Err(Fault::Fields(Refusal::BareLf)));
    check("HTTP/1.1 200\n\n", Err(Fault::Fields(Refusal::BareLf)));
    check("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Err(Fault::Bodiless));
    check("HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Fault::Bodiless));
}

#[test]
fn a_fault_is_told_apart_by_what_was_too_much() {
    assert_eq!(Fault::Fields(Refusal::Headers).failure(), Failure::ResponseHeaders);
    assert_eq!(Fault::Fields(Refusal::BareLf).failure(), Failure::BadResponse);
    assert_eq!(
        Fault::Fields(Refusal::BareLf).to_string(),
        "the answer's head is refused: A line ends without a carriage return."
    );
}

/// hyper's client over a tap, and the pod's end of the connection.
async fn connect()
-> (SendRequest<Empty<Bytes>>, Arc<HeadGate>, DuplexStream, tokio::task::JoinSet<()>) {
    let (near, far) = duplex(1 << 16);
    let tap = Tap::new(near, LIMITS);
    let gate = tap.gate();
    let (sender, connection) = http1::handshake(TokioIo::new(tap)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async { drop(connection.await) });
    (sender, gate, far, tasks)
}

async fn ask(
    sender: &mut SendRequest<Empty<Bytes>>,
    gate: &HeadGate,
    pod: &mut DuplexStream,
    answer: &[u8],
) -> hyper::Result<(StatusCode, Bytes)> {
    sender.ready().await?;
    gate.expect();
    let answered = sender.send_request(Request::new(Empty::new()));
    let said = async {
        let mut request = [0; 1024];
        assert!(pod.read(&mut request).await.unwrap() > 0);
        pod.write_all(answer).await.unwrap();
    };
    let (answered, ()) = tokio::join!(answered, said);
    let answer = answered?;
    Ok((answer.status(), answer.into_body().collect().await?.to_bytes()))
}

#[tokio::test]
async fn only_heads_are_looked_at_one_answer_after_the_other() {
    let (mut sender, gate, mut pod, _tasks) = connect().await;
    let body = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nX: y\n\0\r\r";
    for _ in 0..3 {
        let (status, text) = ask(&mut sender, &gate, &mut pod, body).await.unwrap();
        assert_eq!((status, &text[..]), (StatusCode::OK, &b"X: y\n\0\r\r"[..]));
    }
    let hints = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(ask(&mut sender, &gate, &mut pod, hints).await.unwrap().0, StatusCode::NO_CONTENT);
    assert_eq!(gate.fault(), None);

    let refused =
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(ask(&mut sender, &gate, &mut pod, refused).await.is_err());
    assert_eq!(gate.fault(), Some(Fault::Fields(Refusal::BothLengths)));
}

#[tokio::test]
async fn hyper_alone_would_take_a_bare_line_feed() {
    let (near, mut pod) = duplex(1 << 16);
    let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async { drop(connection.await) });
    let answer = b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab";
    let gate = HeadGate::default();
    assert!(ask(&mut sender, &gate, &mut pod, answer).await.is_ok());

    let (mut sender, gate, mut pod, _tasks) = connect().await;
    assert!(ask(&mut sender, &gate, &mut pod, answer).await.is_err());
    assert_eq!(gate.fault(), Some(Fault::Fields(Refusal::BareLf)));
}

#[tokio::test]
async fn a_second_answer_behind_the_first_is_not_taken_for_the_next() {
    let (mut sender, gate, mut pod, _tasks) = connect().await;
    let twice = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(2);
    ask(&mut sender, &gate, &mut pod, &twice).await.unwrap();
    assert!(sender.ready().await.is_err());
}

proptest! {
    #[test]
    fn any_cut_comes_to_the_same(
        rest in "(HTTP/1\\.1 [12][0-9]{2}( [ -~]{0,4})?\r\n)?([A-Za-z -]{1,4}:[ -~\r\n]{0,9}\r\n){0,4}(\r\n)?",
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let bytes = rest.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(read(bytes, &cuts), read(bytes, &[]));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = read(&bytes, &[]);
        let _ = read(&[b"HTTP/1.1 200 OK\r\n", &bytes[..]].concat(), &[]);
    }
}
