//! How the registry ends.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use efd_registry::Config;
use efd_service::Instance;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn a_client_that_stops_sending_does_not_hold_up_the_stop() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = Config { http: free_address(), grpc: any, ..Config::default() };
        config.kafka.bootstrap_servers = Some("127.0.0.1:1".into());
        config.schemas.write_timeout = Duration::from_secs(1);
        let instance = Instance::start("efd-registry", any).unwrap();
        let stop = instance.context().stop;
        let run = tokio::spawn(efd_registry::run(config.clone(), instance.context()));
        let _client = tokio::time::timeout(DEADLINE, begin_request(config.http)).await.unwrap();
        stop.request();
        tokio::time::timeout(DEADLINE, run).await.unwrap().unwrap().unwrap();
        instance.shutdown().await;
    });
    // A search for Kafka may still be blocking a thread.
    runtime.shutdown_background();
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A request whose body never comes, although the registry has begun to read it.
async fn begin_request(address: SocketAddr) -> TcpStream {
    let head =
        "POST /subjects/a/versions HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    let mut client = loop {
        match TcpStream::connect(address).await {
            Ok(client) => break client,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    client
}
