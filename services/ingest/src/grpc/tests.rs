//! The whole source over gRPC, in front of a mock cluster that can go away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use efd_proto::ingest::v1::ingest_service_client::IngestServiceClient;
use efd_proto::ingest::v1::publish_result::Outcome;
use efd_proto::ingest::v1::value::Kind;
use efd_proto::ingest::v1::{DescribeTopicsRequest, Longs, PublishRequest, PublishResponse, Value};
use efd_proto::ingest::v1::{PublishResult, Sample as ProtoSample};
use efd_sal::FieldType;
use efd_service::server::tls::ServerCertificate;
use efd_service::{Instance, Secret};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Health;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::account::Account;
use crate::clock::Clock;
use crate::credentials::Credential;
use crate::metrics::Metrics;
use crate::producer::SampleProducer;
use crate::sample::SampleTopic;
use crate::testing;

const DEADLINE: Duration = Duration::from_secs(20);
const CLOSE_GRACE: Duration = Duration::from_secs(2);
/// A client that cannot send for so long is held up.
const HELD_UP: Duration = Duration::from_millis(500);
const TOPIC: &str = "lsst.sal.Test.counts";

/// Source, producer and Kafka.
struct Rig {
    cluster: MockCluster<'static, DefaultProducerContext>,
    instance: Instance,
    source: GrpcSource,
    producer: JoinHandle<SampleProducer>,
}

fn topics() -> Vec<Arc<SampleTopic>> {
    let mut byte = testing::field("byte0", FieldType::Int, 1);
    byte.range = FieldType::idl_range("byte");
    let fields = vec![byte, testing::field("ints", FieldType::Int, 2)];
    testing::sample_topics([testing::topic("Test", "counts", fields), testing::heartbeat()])
}

impl Rig {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let topics = topics();
        for topic in &topics {
            cluster.create_topic(&topic.kafka_name, 1, 1).unwrap();
        }
        let mut config = Config::default();
        config.grpc.address = ([127, 0, 0, 1], 0).into();
        config.kafka.bootstrap_servers = Some(cluster.bootstrap_servers());
        config.queue_samples = 4;
        config.producer.in_flight_bytes = bytesize::ByteSize::kib(4);
        change(&mut config);
        let instance = Instance::start("test", ([127, 0, 0, 1], 0).into()).unwrap();
        let context = instance.context();
        let metrics = Metrics::new(&context.meter, &["Test".to_owned(), "ATCamera".to_owned()]);
        let (samples, mut queue) = mpsc::channel(config.queue_samples);
        let clock = Clock::new(None).unwrap();
        let stop = context.stop.clone();
        let certificate = ServerCertificate::load(&config.tls).unwrap();
        let around = Surroundings { topics: topics.clone(), clock, metrics: metrics.clone(), certificate };
        let source = GrpcSource::start(&config, &around, &samples, stop.clone()).unwrap();
        let account = Account::new(&topics);
        let mut producer =
            SampleProducer::new(&config.kafka, &config.producer, config.retry, account, metrics).unwrap();
        let producer = tokio::spawn(async move {
            producer.run(&mut queue).await.unwrap();
            producer
        });
        tokio::spawn(async move {
            stop.requested().await;
            drop(samples);
        });
        Self { cluster, instance, source, producer }
    }

    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.source.address())).unwrap().connect().await.unwrap()
    }

    /// A stream that sends what comes out of the queue.
    async fn publish(
        &self,
        requests: mpsc::Receiver<PublishRequest>,
        token: Option<&str>,
    ) -> Result<Streaming<PublishResponse>, tonic::Status> {
        // With a small window, so that results which are not read are soon not sent either.
        let endpoint = Endpoint::from_shared(format!("http://{}", self.source.address())).unwrap();
        let channel = endpoint.initial_stream_window_size(1 << 16).connect().await.unwrap();
        let mut client = IngestServiceClient::new(channel);
        let mut request = Request::new(ReceiverStream::new(requests));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        client.publish(request).await.map(tonic::Response::into_inner)
    }

    /// The results of some samples, each in a request of its own.
    async fn results(&self, samples: Vec<ProtoSample>, token: Option<&str>) -> Vec<PublishResult> {
        let (sender, requests) = mpsc::channel(samples.len());
        for sample in samples {
            sender.try_send(PublishRequest { samples: vec![sample] }).unwrap();
        }
        drop(sender);
        let (results, status) = all(self.publish(requests, token).await.unwrap()).await;
        assert!(status.is_none(), "{status:?}");
        results
    }

    /// Stops everything; how many records Kafka acknowledged.
    async fn stop(self) -> u64 {
        self.instance.context().stop.request();
        let producer = tokio::time::timeout(DEADLINE, self.producer).await.expect("the queue ends").unwrap();
        tokio::time::timeout(DEADLINE, self.source.finish(CLOSE_GRACE))
            .await
            .expect("the source ends")
            .unwrap();
        producer.account().delivered()
    }
}

/// All results, and the status at the end when it is not OK.
async fn all(mut stream: Streaming<PublishResponse>) -> (Vec<PublishResult>, Option<tonic::Status>) {
    let mut results = Vec::new();
    loop {
        match tokio::time::timeout(DEADLINE, stream.message()).await.expect("in time") {
            Ok(Some(response)) => results.extend(response.results),
            Ok(None) => return (results, None),
            Err(status) => return (results, Some(status)),
        }
    }
}

fn sample(topic: &str, fields: &[(&str, Kind)]) -> ProtoSample {
    let value = |kind: &Kind| Value { kind: Some(kind.clone()) };
    let fields: HashMap<_, _> = fields.iter().map(|(name, kind)| ((*name).to_owned(), value(kind))).collect();
    ProtoSample { topic: topic.to_owned(), fields }
}

fn good() -> ProtoSample {
    sample(TOPIC, &[("byte0", Kind::LongValue(7))])
}

/// Code and field of a refusal, or the offset.
fn outcome(result: &PublishResult) -> Result<i64, (Code, &str)> {
    match result.outcome.as_ref().unwrap() {
        Outcome::Delivery(delivery) => Ok(delivery.offset),
        Outcome::Refusal(refusal) => Err((Code::from_i32(refusal.code), refusal.field.as_str())),
    }
}

fn credentials(config: &mut Config) {
    let credential = |name: &str, prefixes: &[&str]| Credential {
        name: name.into(),
        prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
        token: Secret::from(format!("{name}-token")),
    };
    config.credentials = vec![credential("all", &[]), credential("test", &["lsst.sal.Test."])];
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_has_its_result_in_order_and_bad_ones_change_nothing() {
    let rig = Rig::start(|_| ());
    let long = |value| Kind::LongValue(value);
    let samples = vec![
        good(),
        sample("lsst.sal.Test.countz", &[]),
        sample(TOPIC, &[("byte0", long(300))]),
        good(),
        sample(TOPIC, &[("byte1", long(1))]),
        sample(TOPIC, &[("byte0", Kind::StringValue("7".into()))]),
        sample(TOPIC, &[("ints", Kind::Longs(Longs { values: vec![1, 2, 3] }))]),
        sample(TOPIC, &[("private_efdStamp", Kind::DoubleValue(-5.0))]),
        sample(TOPIC, &[]),
        sample("lsst.sal.ATCamera.logevent_heartbeat", &[("heartbeat", Kind::BooleanValue(true))]),
    ];
    let results = rig.results(samples, None).await;
    let outcomes: Vec<_> = results.iter().map(outcome).collect();
    let expected = [
        Ok(0),
        Err((Code::NotFound, "")),
        Err((Code::OutOfRange, "byte0")),
        Ok(1),
        Err((Code::InvalidArgument, "byte1")),
        Err((Code::InvalidArgument, "byte0")),
        Err((Code::InvalidArgument, "ints")),
        Err((Code::OutOfRange, "private_efdStamp")),
        Ok(2),
        Ok(0),
    ];
    assert_eq!(outcomes, expected);
    let sequence: Vec<_> = results.iter().map(|result| result.sequence).collect();
    assert_eq!(sequence, (0..10).collect::<Vec<_>>());
    let Some(Outcome::Delivery(last)) = &results[9].outcome else { panic!() };
    assert_eq!((last.topic.as_str(), last.partition), ("lsst.sal.ATCamera.logevent_heartbeat", 0));
    let Some(Outcome::Refusal(unknown)) = &results[1].outcome else { panic!() };
    assert!(unknown.message.contains("did you mean lsst.sal.Test.counts?"), "{}", unknown.message);
    assert_eq!(rig.stop().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_samples_in_one_request_keep_their_order() {
    let rig = Rig::start(|_| ());
    let (sender, requests) = mpsc::channel(3);
    for _ in 0..3 {
        sender.try_send(PublishRequest { samples: vec![good(); 1000] }).unwrap();
    }
    drop(sender);
    let (results, status) = all(rig.publish(requests, None).await.unwrap()).await;
    assert!(status.is_none(), "{status:?}");
    let offsets: Vec<_> = results.iter().map(|result| outcome(result).unwrap()).collect();
    assert_eq!(offsets, (0..3000).collect::<Vec<_>>());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_sample_by_sample() {
    let rig = Rig::start(credentials);
    let samples = || vec![good(), sample("lsst.sal.ATCamera.logevent_heartbeat", &[])];
    let codes = |results: Vec<PublishResult>| -> Vec<Code> {
        results.iter().map(|result| outcome(result).map_or_else(|(code, _)| code, |_| Code::Ok)).collect()
    };
    assert_eq!(codes(rig.results(samples(), None).await), [Code::Unauthenticated; 2]);
    assert_eq!(codes(rig.results(samples(), Some("wrong")).await), [Code::Unauthenticated; 2]);
    assert_eq!(codes(rig.results(samples(), Some("test-token")).await), [Code::Ok, Code::PermissionDenied]);
    assert_eq!(codes(rig.results(samples(), Some("all-token")).await), [Code::Ok; 2]);
    let mut client = IngestServiceClient::new(rig.channel().await);
    let status = client.describe_topics(DescribeTopicsRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_described_as_the_interface_has_them() {
    let rig = Rig::start(|_| ());
    let mut client = IngestServiceClient::new(rig.channel().await);
    let mut describe = async |topics: &[&str]| {
        let topics = topics.iter().map(|name| (*name).to_owned()).collect();
        let mut stream = client.describe_topics(DescribeTopicsRequest { topics }).await?.into_inner();
        let mut described = Vec::new();
        while let Some(response) = stream.message().await? {
            described.push(response.topic.unwrap());
        }
        Ok::<_, tonic::Status>(described)
    };
    assert_eq!(describe(&[]).await.unwrap().len(), 2);
    let described = describe(&["lsst.sal.Test."]).await.unwrap();
    assert_eq!(described.len(), 1);
    let topic = &described[0];
    assert_eq!((topic.name.as_str(), topic.schema_id, topic.is_indexed), (TOPIC, 7, true));
    assert_eq!(topic.rev_code, topics()[0].rev_code);
    let field = |name: &str| topic.fields.iter().find(|field| field.name == name).unwrap().clone();
    let byte = field("byte0");
    assert_eq!((byte.minimum, byte.maximum, byte.array_length), (Some(0), Some(255), None));
    assert_eq!((byte.unit.as_str(), byte.is_private), ("unitless", false));
    assert_eq!(field("ints").array_length, Some(2));
    assert!(field("salIndex").is_private);
    let twice = describe(&[TOPIC, "lsst.sal.Test.", "lsst.sal."]).await.unwrap();
    assert_eq!(twice.iter().map(|topic| topic.fields.len()).collect::<Vec<_>>(), [11, 9], "each once");
    let too_many = describe(&[TOPIC; 1001]).await.unwrap_err();
    assert_eq!(too_many.code(), Code::InvalidArgument);
    let status = describe(&["lsst.sal.Tes.counts"]).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("did you mean lsst.sal.Test?"), "{}", status.message());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_the_client_is_held_up_and_then_nothing_is_missing() {
    let rig = Rig::start(|config| config.grpc.max_pending_samples = 20);
    rig.cluster.broker_down(1).unwrap();
    let (sender, requests) = mpsc::channel(1);
    let stream = rig.publish(requests, None).await.unwrap();
    // Long samples, so that few of them fill the windows of HTTP/2.
    let wide = vec![sample(&"x".repeat(900_000), &[])];
    let mut sent = 0;
    let start = Instant::now();
    let mut request = PublishRequest { samples: vec![good(); 100] };
    while tokio::time::timeout(HELD_UP, sender.send(request)).await.is_ok() {
        assert!(start.elapsed() < DEADLINE, "the client is not held up");
        sent += 1;
        request = PublishRequest { samples: wide.clone() };
    }
    assert!(sent > 1, "{sent}");
    rig.cluster.broker_up(1).unwrap();
    drop(sender);
    let (results, status) = all(stream).await;
    assert!(status.is_none(), "{status:?}");
    let delivered = results.iter().filter(|result| outcome(result).is_ok()).count();
    assert_eq!((delivered, results.len()), (100, 100 + sent - 1));
    assert_eq!(rig.stop().await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_the_results_that_are_known_and_says_so() {
    let rig = Rig::start(|_| ());
    let (sender, requests) = mpsc::channel(1);
    let mut stream = rig.publish(requests, None).await.unwrap();
    sender.send(PublishRequest { samples: vec![good(); 3] }).await.unwrap();
    let first = tokio::time::timeout(DEADLINE, stream.message()).await.unwrap().unwrap().unwrap();
    // The client keeps its side open.
    let ended = tokio::spawn(all(stream));
    assert_eq!(rig.stop().await, 3);
    let (rest, status) = ended.await.unwrap();
    assert_eq!(first.results.len() + rest.len(), 3);
    assert_eq!(status.unwrap().code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_does_not_hold_up_a_stop() {
    let rig = Rig::start(|config| config.grpc.max_pending_samples = 2);
    let (sender, requests) = mpsc::channel(1);
    let mut stream = rig.publish(requests, None).await.unwrap();
    sender.send(PublishRequest { samples: vec![good(); 20_000] }).await.unwrap();
    let first = tokio::time::timeout(DEADLINE, stream.message()).await.unwrap().unwrap().unwrap();
    assert!(!first.results.is_empty());
    let delivered = rig.stop().await;
    assert!(delivered < 20_000, "{delivered}");
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_long_ends_the_stream_after_the_results_before_it() {
    let rig = Rig::start(|config| config.grpc.max_request_bytes = bytesize::ByteSize::kib(1));
    let (sender, requests) = mpsc::channel(2);
    sender.try_send(PublishRequest { samples: vec![good()] }).unwrap();
    sender.try_send(PublishRequest { samples: vec![good(); 1000] }).unwrap();
    let (results, status) = all(rig.publish(requests, None).await.unwrap()).await;
    assert_eq!(results.len(), 1);
    assert_eq!(status.unwrap().code(), Code::OutOfRange);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_may_be_are_refused() {
    let rig = Rig::start(|config| config.grpc.max_streams = 1);
    let (sender, requests) = mpsc::channel(1);
    let stream = rig.publish(requests, None).await.unwrap();
    let (_, more) = mpsc::channel(1);
    let status = rig.publish(more, None).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("grpc.max_streams"), "{}", status.message());
    drop((sender, stream));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_offers_tls_with_the_configured_certificate_and_health() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let rig = Rig::start(|config| {
        config.tls.certificate_file = Some(certificate);
        config.tls.key_file = Some(key);
    });
    let address = format!("https://localhost:{}", rig.source.address().port());
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pair.cert.pem()));
    let endpoint = Endpoint::from_shared(address).unwrap().tls_config(tls).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let service = "efd.ingest.v1.IngestService".to_owned();
    let health = client.check(HealthCheckRequest { service }).await.unwrap().into_inner();
    assert_eq!(health.status(), Health::Serving);
    drop(client);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_more_than_there_may_be_waits_for_the_end_of_another() {
    let rig = Rig::start(|config| config.grpc.max_connections = 1);
    let check = |channel| async {
        HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
    };
    let first = rig.channel().await;
    check(first.clone()).await;
    let address = format!("http://{}", rig.source.address());
    let second = Endpoint::from_shared(address).unwrap().connect_lazy();
    let mut answer = tokio::spawn(check(second));
    assert!(tokio::time::timeout(HELD_UP, &mut answer).await.is_err(), "answered beside the first");
    check(first.clone()).await;
    drop(first);
    tokio::time::timeout(DEADLINE, answer).await.expect("an answer").unwrap();
    rig.stop().await;
}
