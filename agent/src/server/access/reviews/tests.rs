//! Reviews against a judge that answers as a test says, in time that the test moves.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::sync::watch;
use tokio::time::advance;

use super::super::cache::{FRESH, MOST};
use super::*;

const GRACE: Duration = Duration::from_secs(60);
const PATH: &str = "/metrics";

/// What is answered now, how often it was asked for, and whether answers are held back.
struct Script {
    answer: Mutex<Judged>,
    asked: AtomicUsize,
    present: AtomicUsize,
    most: AtomicUsize,
    open: watch::Sender<bool>,
}

struct Scripted(Arc<Script>);

impl Judge for Scripted {
    fn judge(&self, _: Token, _: &'static str) -> BoxFuture<'static, Judged> {
        let script = self.0.clone();
        async move {
            script.asked.fetch_add(1, Ordering::Relaxed);
            let present = script.present.fetch_add(1, Ordering::Relaxed) + 1;
            script.most.fetch_max(present, Ordering::Relaxed);
            script.open.subscribe().wait_for(|open| *open).await.unwrap();
            script.present.fetch_sub(1, Ordering::Relaxed);
            script.answer.lock().unwrap().clone()
        }
        .boxed()
    }
}

struct Bench {
    reviews: Reviews,
    script: Arc<Script>,
    stats: Stats,
}

impl Bench {
    fn new() -> Self {
        let script = Arc::new(Script {
            answer: Mutex::new(Ok(Verdict::Allowed)),
            asked: AtomicUsize::new(0),
            present: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            open: watch::Sender::new(true),
        });
        let stats = Stats::default();
        let reviews = Reviews::new(Scripted(script.clone()), GRACE, stats.clone());
        Self { reviews, script, stats }
    }

    fn answers(&self, answer: Judged) {
        *self.script.answer.lock().unwrap() = answer;
    }

    async fn verdict(&self) -> Judged {
        self.reviews.verdict(token("good"), PATH).await
    }

    fn asked(&self) -> usize {
        self.script.asked.load(Ordering::Relaxed)
    }
}

fn token(text: &str) -> Token {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {text}")).unwrap());
    Token::of(&headers).unwrap()
}

fn outage() -> Judged {
    Err(Trouble::late(Review::Token))
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_asked_for_once_in_five_seconds() {
    let bench = Bench::new();
    for verdict in [Verdict::Allowed, Verdict::Unknown, Verdict::Forbidden("a".into())] {
        bench.answers(Ok(verdict.clone()));
        let before = bench.asked();
        assert_eq!(bench.verdict().await, Ok(verdict.clone()));
        advance(FRESH.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!(bench.verdict().await, Ok(verdict));
        assert_eq!(bench.asked(), before + 1);
        advance(Duration::from_millis(1)).await;
    }
    assert_eq!(bench.stats.reviews(Outcome::Allowed), 1);
    assert_eq!(bench.stats.reviews(Outcome::Unknown), 1);
    assert_eq!(bench.stats.reviews(Outcome::Forbidden), 1);
}

#[tokio::test(start_paused = true)]
async fn a_right_for_one_path_is_none_for_another() {
    let bench = Bench::new();
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed));
    bench.answers(Ok(Verdict::Unknown));
    assert_eq!(bench.reviews.verdict(token("good"), "/").await, Ok(Verdict::Unknown));
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed));
}

#[tokio::test(start_paused = true)]
async fn requests_with_the_same_token_share_one_review() {
    let bench = Bench::new();
    bench.script.open.send_replace(false);
    let many = futures::future::join_all((0..20).map(|_| bench.verdict()));
    let open = async {
        tokio::task::yield_now().await;
        assert_eq!(bench.reviews.sizes(), (0, 1));
        bench.script.open.send_replace(true);
    };
    let (verdicts, ()) = tokio::join!(many, open);
    assert!(verdicts.iter().all(|verdict| *verdict == Ok(Verdict::Allowed)));
    assert_eq!((bench.asked(), bench.reviews.sizes()), (1, (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_takes_its_review_along_but_not_that_of_others() {
    let bench = Bench::new();
    bench.script.open.send_replace(false);
    let mut first = Box::pin(bench.verdict());
    let mut second = Box::pin(bench.verdict());
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
    drop(first);
    bench.script.open.send_replace(true);
    assert_eq!(second.await, Ok(Verdict::Allowed));
    assert_eq!(bench.asked(), 1);

    advance(FRESH).await;
    bench.script.open.send_replace(false);
    let mut alone = Box::pin(bench.verdict());
    assert!(futures::poll!(&mut alone).is_pending());
    drop(alone);
    assert_eq!(bench.reviews.sizes(), (1, 0), "nothing is left of it");
    bench.script.open.send_replace(true);
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_yes_holds_while_the_server_is_away_and_no_longer_than_its_grace() {
    let bench = Bench::new();
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed));
    bench.answers(outage());
    advance(FRESH).await;
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed));
    assert_eq!(
        bench.verdict().await,
        Ok(Verdict::Allowed),
        "the server is not asked at once again"
    );
    assert_eq!((bench.asked(), bench.stats.reviews(Outcome::Held)), (2, 1));
    assert!(bench.reviews.verdict(token("new"), PATH).await.is_err(), "never said yes to");

    advance(GRACE.saturating_sub(FRESH)).await;
    assert_eq!(bench.verdict().await, outage());
    assert_eq!(bench.stats.reviews(Outcome::Unreachable), 2);
    bench.answers(Ok(Verdict::Allowed));
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed), "at once when it is back");
}

#[tokio::test(start_paused = true)]
async fn a_no_is_never_held_to_be_a_yes_and_ends_an_earlier_one() {
    let bench = Bench::new();
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed));
    advance(FRESH).await;
    bench.answers(Ok(Verdict::Unknown));
    assert_eq!(bench.verdict().await, Ok(Verdict::Unknown));
    advance(FRESH).await;
    bench.answers(outage());
    assert_eq!(bench.verdict().await, outage());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_not_waited_for_longer_than_five_seconds() {
    let bench = Bench::new();
    bench.script.open.send_replace(false);
    let start = Instant::now();
    assert_eq!(bench.verdict().await, outage());
    assert_eq!(start.elapsed(), LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_does_not_pass_for_an_outage() {
    let bench = Bench::new();
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed));
    advance(FRESH).await;
    bench.script.open.send_replace(false);
    let names: Vec<_> = (0..AT_ONCE).map(|number| format!("bad-{number}")).collect();
    let crowd = names.iter().map(|name| bench.reviews.verdict(token(name), PATH));
    let mut crowd = Box::pin(futures::future::join_all(crowd));
    assert!(futures::poll!(&mut crowd).is_pending());
    // Whoever was let in before, and perhaps is not any more, gains nothing by sending many bad tokens.
    assert_eq!(bench.verdict().await, Err(Trouble::crowded()));
    assert_eq!(bench.stats.reviews(Outcome::Failed), 1);
    assert!(crowd.await.iter().all(|verdict| *verdict == outage()));
}

#[tokio::test(start_paused = true)]
async fn many_tokens_are_asked_about_a_few_at_a_time_and_stay_bounded() {
    let bench = Bench::new();
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed));
    bench.answers(Ok(Verdict::Unknown));
    for round in 0..40 {
        bench.script.open.send_replace(false);
        let names: Vec<_> = (0..50).map(|number| format!("bad-{round}-{number}")).collect();
        let many = names.iter().map(|name| bench.reviews.verdict(token(name), PATH));
        let open = async {
            tokio::task::yield_now().await;
            bench.script.open.send_replace(true);
        };
        tokio::join!(futures::future::join_all(many), open);
    }
    assert_eq!(bench.script.most.load(Ordering::Relaxed), AT_ONCE);
    assert_eq!(bench.reviews.sizes(), (MOST, 0));
    bench.answers(outage());
    advance(FRESH).await;
    assert_eq!(bench.verdict().await, Ok(Verdict::Allowed), "the yes is still there");
}
