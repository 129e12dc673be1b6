//! Against a server that answers what the test wants: which lines end up stored, which refused.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::destination::DestinationConfig;
use crate::testing::{FakeServer, Seen, batch, metrics};

const RETRY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(5));

fn writer(server: &FakeServer, create: bool) -> LineWriter {
    let config = DestinationConfig { url: server.url.clone(), create, ..DestinationConfig::default() };
    LineWriter::new(InfluxDb::new(&config).unwrap(), "influxdb", RETRY, metrics())
}

async fn write(writer: &LineWriter, records: u32) -> Vec<usize> {
    let mut batch = batch("a", records);
    let lines = batch.take_lines();
    writer.write(&batch, &lines).await.iter().map(|refusal| refusal.entry).collect()
}

/// The seconds in the lines of a request.
fn seconds(request: &Seen) -> Vec<u32> {
    let number = |line: &str| line.split(['=', ' ']).nth(2).and_then(|text| text.parse().ok());
    request.body.lines().map(|line| number(line).unwrap()).collect()
}

/// The seconds of all lines in requests that were answered with 204.
fn stored(server: &FakeServer, is_stored: impl Fn(&[u32]) -> bool) -> Vec<u32> {
    let requests = server.requests();
    let mut stored: Vec<u32> =
        requests.iter().map(seconds).filter(|lines| is_stored(lines)).flatten().collect();
    stored.sort_unstable();
    stored
}

#[tokio::test]
async fn a_good_batch_is_one_request() {
    let server = FakeServer::start(|_| (204, String::new())).await;
    assert!(write(&writer(&server, false), 100).await.is_empty());
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/write?db=efd&rp=autogen&precision=ns");
    assert_eq!(seconds(&requests[0]), (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn bad_lines_are_found_and_cost_no_other_line() {
    for (status, words) in
        [(400, "unable to parse"), (422, "partial write: field type conflict"), (400, "no words of InfluxDB")]
    {
        let is_bad = |n: &u32| [1, 17, 18, 1000].contains(n);
        let server = FakeServer::start(move |request| match seconds(request).iter().any(is_bad) {
            true => (status, format!(r#"{{"error":"{words}"}}"#)),
            false => (204, String::new()),
        })
        .await;
        assert_eq!(write(&writer(&server, false), 1000).await, [0, 16, 17, 999], "{status} {words}");
        let good: Vec<u32> = (1..=1000).filter(|n| !is_bad(n)).collect();
        assert_eq!(stored(&server, |lines| !lines.iter().any(is_bad)), good);
    }
}

#[tokio::test]
async fn the_reason_of_a_refusal_is_what_the_server_said() {
    let server = FakeServer::start(|_| {
        (422, r#"{"message":"partial write: points beyond retention policy dropped=1"}"#.into())
    })
    .await;
    let mut batch = batch("a", 1);
    let lines = batch.take_lines();
    let refusals = writer(&server, false).write(&batch, &lines).await;
    let cause = &refusals[0].cause;
    assert_eq!(
        (cause.reason, cause.detail.as_str()),
        (Reason::Refused, "422: partial write: points beyond retention policy dropped=1")
    );
}

#[tokio::test]
async fn what_is_too_large_is_cut_until_it_fits() {
    let server = FakeServer::start(|request| match request.body.lines().count() {
        0..=10 => (204, String::new()),
        _ => (413, "too large".into()),
    })
    .await;
    assert!(write(&writer(&server, false), 100).await.is_empty());
    assert_eq!(stored(&server, |lines| lines.len() <= 10), (1..=100).collect::<Vec<_>>());
    let server = FakeServer::start(|_| (413, "too large".into())).await;
    assert_eq!(write(&writer(&server, false), 2).await, [0, 1]);
}

#[tokio::test]
async fn any_other_trouble_is_waited_for() {
    for status in [401, 403, 404, 406, 429, 500, 502, 503, 504] {
        let (left, server) = (AtomicUsize::new(3), ());
        let () = server;
        let server = FakeServer::start(move |_| {
            let is_over =
                left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err();
            (if is_over { 204 } else { status }, String::new())
        })
        .await;
        assert!(write(&writer(&server, false), 5).await.is_empty());
        assert_eq!(server.requests().len(), 4, "{status}");
    }
}

#[tokio::test]
async fn what_is_twice_too_slow_is_cut_until_it_is_fast_enough() {
    let server = FakeServer::start(|request| match request.body.lines().count() {
        0..=2 => (204, String::new()),
        _ => (408, "timeout".into()),
    })
    .await;
    assert!(write(&writer(&server, false), 8).await.is_empty());
    assert_eq!(stored(&server, |lines| lines.len() <= 2), (1..=8).collect::<Vec<_>>());
    // Twice all of them, twice each half, and once each quarter.
    assert_eq!(server.requests().len(), 2 + 2 * 2 + 4);
}

#[tokio::test]
async fn a_server_that_refuses_everything_in_its_own_words_is_waited_for() {
    let left = AtomicUsize::new(20);
    let server = FakeServer::start(move |_| {
        let is_over = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err();
        if is_over { (204, String::new()) } else { (400, "<html>maintenance</html>".into()) }
    })
    .await;
    assert!(write(&writer(&server, false), 4).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_began_before_everything_was_refused_makes_no_line_bad() {
    let refused = std::sync::Arc::new(AtomicUsize::new(0));
    let count = refused.clone();
    let server = FakeServer::start(move |request| {
        let refused_before = || count.load(Ordering::SeqCst);
        if seconds(request).len() == 3 {
            // Begun first, answered while the other is refused.
            let deadline = Instant::now() + Duration::from_secs(60);
            while refused_before() < 3 && Instant::now() < deadline {
                std::thread::yield_now();
            }
            return (204, String::new());
        }
        if count.fetch_add(1, Ordering::SeqCst) < 20 {
            return (400, "<html>maintenance</html>".into());
        }
        (204, String::new())
    })
    .await;
    let writer = writer(&server, false);
    let early = write(&writer, 3);
    let late = async {
        crate::testing::until("the first write has begun", || writer.begun.load(Ordering::SeqCst) == 1).await;
        write(&writer, 2).await
    };
    let (early, late) = tokio::join!(early, late);
    assert!(early.is_empty() && late.is_empty(), "{early:?} {late:?}");
}

#[tokio::test]
async fn who_may_only_write_writes_to_what_others_have_created() {
    let server = FakeServer::start(|request| match request.path.as_str() {
        "/query" => {
            (403, r#"{"error":"error authorizing query: w not authorized to execute statement"}"#.into())
        }
        _ => (204, String::new()),
    })
    .await;
    let writer = writer(&server, true);
    tokio::time::timeout(Duration::from_secs(10), writer.prepare()).await.expect("not tried for ever");
    assert!(write(&writer, 1).await.is_empty());
}

#[tokio::test]
async fn a_database_that_went_missing_is_created_again() {
    let exists = std::sync::Arc::new(AtomicBool::new(false));
    let server = FakeServer::start(move |request| {
        if request.path == "/query" {
            exists.store(true, Ordering::SeqCst);
            return (200, r#"{"results":[{"statement_id":0}]}"#.into());
        }
        if exists.load(Ordering::SeqCst) {
            (204, String::new())
        } else {
            (404, r#"{"error":"database not found"}"#.into())
        }
    })
    .await;
    assert!(write(&writer(&server, true), 1).await.is_empty());
    let requests = server.requests();
    let query = requests.iter().find(|request| request.path == "/query").unwrap();
    assert_eq!(query.body, "q=CREATE%20DATABASE%20%22efd%22");
}

#[tokio::test]
async fn a_cut_connection_and_a_dead_server_are_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Two connections are cut, then nobody listens for a moment, then a server is there.
    let answers = tokio::spawn(async move {
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
        drop(listener);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 4096];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 204 x\r\n\r\n").await.unwrap();
        stream
    });
    let config = DestinationConfig { url: format!("http://{address}"), ..DestinationConfig::default() };
    let writer = LineWriter::new(InfluxDb::new(&config).unwrap(), "influxdb", RETRY, metrics());
    assert!(write(&writer, 3).await.is_empty());
    drop(answers.await);
}
