//! What networks and services do.

use super::server::Reply;
use super::*;
use reqwest::dns::{Name, Resolve, Resolving};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

/// The error of a call and how long it took.
fn failure(kms: &Kms) -> (Error, Duration) {
    let begin = Instant::now();
    let error = kms.decrypt(&context(), b"wrap").unwrap_err();
    (error, begin.elapsed())
}

#[test]
fn what_passes_is_tried_again() {
    let ok = || Reply::ok(good(KEY));
    let throttled = || Reply::error(400, "ThrottlingException");
    for (name, replies) in [
        ("throttled", vec![throttled(), throttled(), ok()]),
        ("limit", vec![Reply::error(400, "LimitExceededException"), ok()]),
        ("429", vec![Reply::error(429, ""), ok()]),
        ("500", vec![Reply::error(500, "KMSInternalException"), ok()]),
        ("503, no JSON", vec![Reply::Whole(503, String::new(), "<html>".into()), ok()]),
        ("unavailable", vec![Reply::error(500, "KeyUnavailableException"), ok()]),
        ("closed", vec![Reply::Close, ok()]),
        ("reset", vec![Reply::Reset, ok()]),
        ("cut", vec![Reply::Cut, ok()]),
        ("all", vec![Reply::Reset, throttled(), Reply::error(502, ""), Reply::Close, ok()]),
    ] {
        let calls = replies.len() as u64;
        let server = Server::start(replies);
        let kms = kms(KEY, &server.url(), patient());
        assert_eq!(kms.decrypt(&context(), b"wrap").map(|key| *key), Ok([7; 32]), "{name}");
        assert_eq!(kms.calls(), calls, "{name}");
    }
}

#[test]
fn each_attempt_is_signed_anew() {
    let server = Server::start([Reply::error(500, ""), Reply::ok(good(KEY))]);
    let place = Place::new(KEY.parse().unwrap(), Some(server.url().parse().unwrap())).unwrap();
    let now = AtomicU64::new(NOW);
    let clock = Arc::new(move || now.fetch_add(1, Ordering::SeqCst));
    Kms::new(place, credentials(None), patient(), clock).unwrap().describe().unwrap();
    let asked = server.requests();
    assert_ne!(asked[0].header("x-amz-date"), asked[1].header("x-amz-date"));
    assert_ne!(asked[0].header("authorization"), asked[1].header("authorization"));
}

#[test]
fn attempts_end_and_the_last_failure_stands() {
    for (reply, error) in [
        (Reply::error(400, "ThrottlingException"), "AWS KMS is asked too often: ThrottlingException: why"),
        (Reply::error(500, "KMSInternalException"), "AWS KMS has a fault of its own: KMSInternalException: why"),
        (Reply::Close, "AWS KMS is not reached: the connection broke off"),
        (Reply::Reset, "AWS KMS is not reached: the connection broke off"),
        (Reply::Cut, "AWS KMS is not reached: the connection broke off"),
    ] {
        let server = Server::start([reply]);
        let kms = kms(KEY, &server.url(), millis(30_000, 3));
        assert_eq!(failure(&kms).0.to_string(), error);
        assert_eq!(kms.calls(), 3);
    }
}

#[test]
fn attempts_fit_into_the_deadline() {
    let server = Server::start([Reply::error(400, "ThrottlingException")]);
    let kms = kms(KEY, &server.url(), millis(400, 10));
    let (error, took) = failure(&kms);
    assert!(matches!(error, Error::Throttled(_)), "{error}");
    assert!(took < Duration::from_millis(900), "{took:?}");
    assert!((2..10).contains(&kms.calls()), "{}", kms.calls());
}

#[test]
fn nobody_listening_is_told() {
    let server = Server::start([Reply::Close]);
    let url = server.url();
    drop(server);
    let kms = kms(KEY, &url, millis(30_000, 3));
    assert_eq!(failure(&kms).0, Error::Unreachable(Reach::Refused));
    assert_eq!(kms.calls(), 3);
}

#[test]
fn the_deadline_holds_whatever_is_waited_for() {
    let throttled = Reply::error(400, "ThrottlingException");
    for (name, replies) in [
        ("hangs", vec![Reply::Hang]),
        ("trickles", vec![Reply::Trickle]),
        ("trickles headers", vec![Reply::TrickleHeaders]),
        ("hangs later", vec![throttled, Reply::Hang]),
    ] {
        let server = Server::start(replies);
        let kms = kms(KEY, &server.url(), millis(400, 5));
        let (error, took) = failure(&kms);
        assert_eq!(error, Error::NoAnswer, "{name}");
        assert!((400..900).contains(&took.as_millis()), "{name}: {took:?}");
    }
}

#[test]
fn the_deadline_holds_for_a_silent_tls_handshake() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let kms = kms(KEY, &format!("https://{}", listener.local_addr().unwrap()), millis(400, 5));
    let (error, took) = failure(&kms);
    assert_eq!(error, Error::NoAnswer);
    assert!((400..900).contains(&took.as_millis()), "{took:?}");
}

/// Lookups that block a thread until they may end.
struct Stuck(Arc<std::sync::Mutex<mpsc::Receiver<()>>>);

impl Resolve for Stuck {
    fn resolve(&self, _: Name) -> Resolving {
        let gate = Arc::clone(&self.0);
        let lookup = tokio::task::spawn_blocking(move || {
            let _ = gate.lock().map(|gate| gate.recv_timeout(Duration::from_secs(10)));
        });
        Box::pin(async move {
            let _ = lookup.await;
            Err("no such name".into())
        })
    }
}

fn resolving(resolver: impl Resolve + 'static, limits: Limits) -> Kms {
    let place = Place::new(KEY.parse().unwrap(), None).unwrap();
    let transport = Transport::resolving(&place, resolver).unwrap();
    let (clock, calls): (Clock, _) = (Arc::new(|| NOW), AtomicU64::new(0));
    Kms { place, credentials: credentials(None), limits, clock, transport, calls }
}

#[test]
fn the_deadline_holds_for_a_slow_resolver_and_more_callers_than_it_serves() {
    let (open, gate) = mpsc::channel();
    let kms = resolving(Stuck(Arc::new(std::sync::Mutex::new(gate))), millis(400, 5));
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| failure(&kms))).collect();
        for call in calls {
            let (error, took) = call.join().unwrap();
            assert_eq!(error, Error::NoAnswer);
            assert!((400..1200).contains(&took.as_millis()), "{took:?}");
        }
    });
    let begin = Instant::now();
    drop(kms);
    assert!(begin.elapsed() < Duration::from_millis(300), "dropping waited for a lookup");
    drop(open);
}

struct Nowhere(Arc<AtomicBool>);

impl Resolve for Nowhere {
    fn resolve(&self, name: Name) -> Resolving {
        assert_eq!(name.as_str(), "kms.eu-central-1.amazonaws.com");
        self.0.store(true, Ordering::SeqCst);
        Box::pin(async { Err("no such name".into()) })
    }
}

#[test]
fn a_name_that_is_not_found_is_told() {
    let asked = Arc::new(AtomicBool::new(false));
    let kms = resolving(Nowhere(Arc::clone(&asked)), millis(30_000, 2));
    assert_eq!(failure(&kms).0, Error::Unreachable(Reach::Name));
    assert!(asked.load(Ordering::SeqCst));
    assert_eq!(kms.calls(), 2);
}

#[test]
fn localhost_is_this_machine_without_a_lookup() {
    let server = Server::start([Reply::ok(good(KEY))]);
    let endpoint = format!("http://localhost:{}", server.port()).parse().unwrap();
    let place = Place::new(KEY.parse().unwrap(), Some(endpoint)).unwrap();
    let asked = Arc::new(AtomicBool::new(false));
    let transport = Transport::resolving(&place, Nowhere(Arc::clone(&asked))).unwrap();
    let (clock, calls): (Clock, _) = (Arc::new(|| NOW), AtomicU64::new(0));
    let kms = Kms { place, credentials: credentials(None), limits: patient(), clock, transport, calls };
    assert!(kms.describe().is_ok());
    assert!(!asked.load(Ordering::SeqCst));
}

#[test]
fn a_connection_ends_with_its_call() {
    let server = Server::start([Reply::ok(good(KEY))]);
    let kms = kms(KEY, &server.url(), patient());
    for calls in 1..=3 {
        kms.describe().unwrap();
        let begin = Instant::now();
        while server.closed() < calls {
            assert!(begin.elapsed() < Duration::from_secs(2), "the connection stays open");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let other = Server::start([Reply::ok(good(KEY))]);
    let to = format!("Location: {}/\r\n", other.url());
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start([Reply::Whole(status, to.clone(), String::new())]);
        let kms = kms(KEY, &server.url(), patient());
        assert!(matches!(failure(&kms).0, Error::Declined(_)));
    }
    assert!(other.requests().is_empty());
}

#[test]
fn many_callers_share_a_client() {
    let server = Server::start([Reply::ok(good(KEY))]);
    let kms = kms(KEY, &server.url(), patient());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10).for_each(|_| assert!(kms.decrypt(&context(), b"wrap").is_ok())));
        }
    });
    assert_eq!(kms.calls(), 80);
}

#[test]
fn asynchronous_callers_are_refused_without_panic() {
    let server = Server::start([Reply::ok(good(KEY))]);
    let kms = kms(KEY, &server.url(), patient());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(matches!(runtime.block_on(async { kms.describe() }), Err(Error::Internal(_))));
}
