//! What InfluxDB is asked, and what is made of its answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::bounds::RetryConfig;
use crate::destination::DestinationConfig;
use crate::mapping::WriterTag;
use crate::testing::FakeServer;

const EMPTY: &str = r#"{"results":[{"statement_id":0}]}"#;

fn client(server: &FakeServer, change: impl FnOnce(&mut DestinationConfig, &mut MappingConfig)) -> Present {
    let mut config = DestinationConfig { url: server.url.clone(), ..DestinationConfig::default() };
    let mut mapping = MappingConfig::default();
    change(&mut config, &mut mapping);
    let retry = RetryConfig { min: Duration::from_millis(1), max: Duration::from_millis(2) };
    Present::new(InfluxDb::new(&config).unwrap(), &mapping, Patience::new(retry))
}

fn asked(server: &FakeServer) -> String {
    let requests = server.requests();
    percent_encoding::percent_decode_str(&requests[0].body).decode_utf8().unwrap().into_owned()
}

fn tags<const N: usize>(pairs: [(&str, &str); N]) -> Tags {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[test]
fn times_far_apart_are_asked_for_one_by_one() {
    assert_eq!(spans(&[]), []);
    assert_eq!(spans(&[1, 2, 3]), [(1, 3)]);
    assert_eq!(spans(&[1, 5, 6 + APART]), [(1, 5), (6 + APART, 6 + APART)]);
}

#[tokio::test]
async fn with_tags_a_point_of_another_series_hides_nothing() {
    let text = r#"{"results":[{"statement_id":0,"series":[
        {"name":"m","tags":{"writer_identity":"","writer_index":"1"},"columns":["time","private_efdStamp"],"values":[[1,1],[2,1]]},
        {"name":"m","tags":{"writer_identity":"u","writer_index":"1"},"columns":["time","private_efdStamp"],"values":[[2,1]]}]}]}"#;
    let server = FakeServer::start(move |_| (200, text.to_owned())).await;
    let present = client(&server, |_, mapping| mapping.writer_tags = vec![WriterTag::SalIndex]);
    let points = present.points("m", vec![3, 1]).await.unwrap();
    assert!(asked(&server).ends_with(" WHERE time >= 1 AND time <= 3 GROUP BY *"), "{}", asked(&server));
    let one = tags([("writer_index", "1")]);
    let both = tags([("writer_index", "1"), ("writer_identity", "u")]);
    assert!(points.has(&one, 1) && points.has(&one, 2) && points.has(&both, 2));
    assert!(!points.has(&both, 1) && !points.has(&Tags::new(), 1) && !points.has(&one, 3));
}

#[tokio::test]
async fn without_tags_a_point_of_any_series_counts() {
    let text =
        r#"{"results":[{"series":[{"name":"m","columns":["time","private_efdStamp"],"values":[[7,1]]}]}]}"#;
    let server = FakeServer::start(move |_| (200, text.to_owned())).await;
    let points = client(&server, |_, _| {}).points("m", vec![7]).await.unwrap();
    assert_eq!(
        asked(&server),
        r#"db=efd&rp=autogen&epoch=ns&q=SELECT "private_efdStamp" FROM "efd"."autogen"."m" WHERE time >= 7 AND time <= 7"#
    );
    assert!(points.has(&Tags::new(), 7));
}

#[tokio::test]
async fn no_retention_policy_is_the_default_one() {
    let server = FakeServer::start(|_| (200, EMPTY.into())).await;
    let present = client(&server, |config, _| config.retention_policy = String::new());
    present.points("m", vec![7]).await.unwrap();
    assert!(asked(&server).contains(r#"db=efd&rp=&"#), "{}", asked(&server));
    assert!(asked(&server).contains(r#" FROM "efd".."m" WHERE"#), "{}", asked(&server));
}

#[tokio::test]
async fn what_may_heal_is_asked_again_and_a_database_that_was_dropped_has_nothing() {
    let hiccups = [
        (503, ""),
        (429, ""),
        (200, "<html>"),
        (200, r#"{"results":[{"error":"max-concurrent-queries limit exceeded"}]}"#),
        (200, r#"{"results":[{"error":"database not found: efd"}]}"#),
    ];
    let place = AtomicUsize::new(0);
    let server = FakeServer::start(move |_| {
        let (status, text) = hiccups[place.fetch_add(1, Ordering::SeqCst)];
        (status, text.to_owned())
    })
    .await;
    let points = client(&server, |_, _| {}).points("m", vec![7]).await.unwrap();
    assert!(!points.has(&Tags::new(), 7));
    assert_eq!(server.requests().len(), hiccups.len());
}

#[tokio::test]
async fn patience_ends_at_once_where_nothing_heals_and_some_time_where_it_might() {
    let server = FakeServer::start(|_| (403, r#"{"error":"not authorized"}"#.into())).await;
    let error = client(&server, |_, _| {}).points("m", vec![7]).await.unwrap_err();
    assert!(!error.heals() && error.to_string().contains("403: not authorized"), "{error}");
    assert_eq!(server.requests().len(), 1);

    let server = FakeServer::start(|_| (500, "on fire".into())).await;
    let mut present = client(&server, |_, _| {});
    present.patience.limit = Duration::from_millis(500);
    let error = present.points("m", vec![7]).await.unwrap_err();
    assert!(error.heals() && error.to_string().contains("500: on fire"), "{error}");
    assert!(server.requests().len() > 1);
}
