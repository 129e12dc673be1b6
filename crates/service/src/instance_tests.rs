//! Tests of the admin server over a real socket.

use std::net::Ipv4Addr;

use bytes::Bytes;
use opentelemetry::KeyValue;

use super::*;
use crate::http::{Client, HttpError};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const TIMEOUT: Duration = Duration::from_secs(10);

async fn get(instance: &Instance, path: &str) -> (u16, String) {
    let client = Client::new(None).unwrap();
    let (status, body) = ask(&client, instance.admin_addr(), path).await.unwrap();
    (status, body)
}

async fn ask(client: &Client, address: SocketAddr, path: &str) -> Result<(u16, String), HttpError> {
    let request = ::http::Request::get(format!("http://{address}{path}")).body(Bytes::new()).unwrap();
    let answer = client.send(request, TIMEOUT).await?;
    let body = String::from_utf8(answer.body().to_vec()).unwrap();
    Ok((answer.status().as_u16(), body))
}

#[tokio::test]
async fn readyz_follows_the_latches_and_livez_does_not() {
    let instance = Instance::start("efd-test", ANY_PORT).unwrap();
    let ready = instance.context().ready;
    assert_eq!(get(&instance, "/readyz").await, (503, "waiting for start\n".to_owned()));
    let (kafka, registry) = (ready.latch("kafka"), ready.latch("registry"));
    assert_eq!(get(&instance, "/readyz").await, (503, "waiting for kafka, registry\n".to_owned()));
    assert_eq!(get(&instance, "/livez").await.0, 200);
    kafka.release();
    registry.release();
    assert_eq!(get(&instance, "/readyz").await, (200, "ready\n".to_owned()));
    instance.context().stop.request();
    assert_eq!(get(&instance, "/readyz").await, (503, "waiting for stop\n".to_owned()));
    assert_eq!(get(&instance, "/livez").await.0, 200);
    assert_eq!(get(&instance, "/nothing").await.0, 404);
}

#[tokio::test]
async fn metrics_shows_the_instruments_of_the_context() {
    let instance = Instance::start("efd-test", ANY_PORT).unwrap();
    let counter = instance.context().meter.u64_counter("efd_test_records").build();
    counter.add(2, &[KeyValue::new("component", "Test")]);
    let (status, text) = get(&instance, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("efd_test_records_total{component=\"Test\"} 2\n"), "{text}");
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_address_and_setting() {
    let first = Instance::start("efd-test", ANY_PORT).unwrap();
    let address = first.admin_addr();
    let error = anyhow::Error::from(Instance::start("efd-test", address).unwrap_err());
    assert_eq!(
        format!("{error:#}"),
        format!(
            "admin server cannot listen on {address} (setting service.admin): {}",
            "Address already in use (os error 98)"
        )
    );
}

#[tokio::test]
async fn shutdown_requests_the_stop_and_frees_the_port_in_spite_of_open_connections() {
    let instance = Instance::start("efd-test", ANY_PORT).unwrap();
    let (address, stop) = (instance.admin_addr(), instance.context().stop);
    let client = Client::new(None).unwrap();
    ask(&client, address, "/livez").await.unwrap();
    tokio::time::timeout(TIMEOUT, instance.shutdown()).await.unwrap();
    assert!(stop.is_requested());
    let again = Instance::start("efd-test", address).unwrap();
    assert_eq!(again.admin_addr(), address);
}
