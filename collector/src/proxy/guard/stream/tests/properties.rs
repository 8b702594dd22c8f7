//! Whatever the bytes and their pieces: hyper sees what the guard saw.

use super::*;

fn in_runtime<F: Future>(test: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
}

/// What the scanner alone makes of these bytes: how many requests pass, and why the next one does not.
fn verdict(bytes: &[u8]) -> (u64, Option<Refusal>) {
    let mut scanner = Scanner::new(TERMS.limits);
    let scan = scanner.scan(bytes);
    (scanner.requests(), scan.refusal)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// hyper finds as many requests as the guard, and of the next one nothing.
    #[test]
    fn hyper_sees_what_the_guard_saw(bytes in doubtful(), piece in 1..200_usize) {
        let (requests, refusal) = verdict(&bytes);
        let is_broken = matches!(refusal, Some(Refusal::Chunk | Refusal::Trailer));
        // What closes or upgrades a connection, or is not for a service, is in other tests.
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if ["upgrade", "http/1.0", "connect"].iter().any(|word| text.contains(word)) {
            return Ok(());
        }
        in_runtime(async {
            let server = Server::start();
            let (mut read, mut write) = tokio::io::split(server.client);
            let send = async {
                for bytes in bytes.chunks(piece) {
                    if write.write_all(bytes).await.is_err() {
                        break;
                    }
                }
                // Not closed: hyper drops what a client asked that is gone.
                sleep(Duration::from_secs(1)).await;
            };
            let mut answers = Vec::new();
            let read = timeout(Duration::from_secs(1), read.read_to_end(&mut answers));
            let ((), closed) = tokio::join!(send, read);
            let answers = String::from_utf8_lossy(&answers);
            prop_assert_eq!(closed.is_ok(), refusal.is_some(), "{}", answers);
            if let Some(refusal) = refusal {
                prop_assert!(answers.ends_with(refusal.as_str()), "{}", answers);
            }
            let seen = server.seen.lock().unwrap().len() as u64;
            let unfinished = u64::from(is_broken);
            let in_body = u64::from(refusal.is_none() && seen + 1 == requests);
            prop_assert_eq!(seen + unfinished + in_body, requests, "{}", answers);
            Ok(())
        })?;
    }

    /// However they are cut, honest requests arrive as they were sent.
    #[test]
    fn hyper_sees_what_was_sent(requests in proptest::collection::vec(honest(), 1..6), piece in 1..200_usize) {
        in_runtime(async {
            let mut server = Server::start();
            let (mut read, mut write) = tokio::io::split(server.client);
            let bytes = requests.concat();
            let send = async {
                for bytes in bytes.chunks(piece) {
                    write.write_all(bytes).await.unwrap();
                }
                sleep(Duration::from_secs(1)).await;
            };
            let mut answers = Vec::new();
            let read = timeout(Duration::from_secs(1), read.read_to_end(&mut answers));
            let ((), _) = tokio::join!(send, read);
            let seen = server.seen.lock().unwrap();
            prop_assert_eq!(seen.len(), requests.len());
            for ((method, target, _), request) in seen.iter().zip(&requests) {
                let line = format!("{method} {target} HTTP/1.1\r\n");
                prop_assert!(request.starts_with(line.as_bytes()));
            }
            server.tasks.abort_all();
            Ok(())
        })?;
    }
}
