//! Connections that may turn into something else.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_follows_a_refused_upgrade_is_read_as_requests() {
    let mut server = Server::start();
    server.send(b"GET /slow HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n").await;
    server.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\n\n").await;
    let rest = timeout(Duration::from_secs(300), async {
        let first = server.answer().await;
        first + &server.rest().await
    });
    let rest = rest.await.unwrap();
    assert_eq!(statuses(&rest), [200, 200, 400]);
    assert!(rest.ends_with("bare_lf"));
}

#[tokio::test(start_paused = true)]
async fn what_follows_an_upgrade_is_not_read_as_requests() {
    let (near, mut client) = duplex(4 << 10);
    let stream = Stream::new(near, Protocol::Http1, TERMS);
    let verdict = stream.verdict();
    let tunnel = Arc::new(Mutex::new(None));
    let service = {
        let tunnel = Arc::clone(&tunnel);
        service_fn(move |mut request: Request<Incoming>| {
            let turn = verdict.next();
            assert_eq!(turn.refused(), None);
            verdict.upgrade();
            *tunnel.lock().unwrap() = Some(hyper::upgrade::on(&mut request));
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            async { Ok::<_, Infallible>(response) }
        })
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades(),
    );
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n\0early\n").await.unwrap();
    let mut head = vec![0; 24];
    client.read_exact(&mut head).await.unwrap();
    assert!(head.starts_with(b"HTTP/1.1 101"));
    tasks.join_next().await.unwrap().unwrap().unwrap();
    client.write_all(b"\nlater\0").await.unwrap();

    let upgraded = tunnel.lock().unwrap().take().unwrap();
    let mut upgraded = TokioIo::new(upgraded.await.unwrap());
    // No timer of the guard runs in another protocol.
    sleep(Duration::from_secs(500)).await;
    let mut bytes = [0; 14];
    upgraded.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"\0early\n\nlater\0");
    upgraded.write_all(b"bye").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_while_an_upgrade_is_undecided_is_noticed() {
    let mut server = Server::start();
    server.send(b"GET /slow HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n").await;
    let started = Instant::now();
    drop(server.client);
    assert!(server.tasks.join_next().await.unwrap().unwrap().is_err());
    assert!(started.elapsed() < Duration::from_secs(1));
}
