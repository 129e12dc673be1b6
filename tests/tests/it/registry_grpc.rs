//! The registry over gRPC: schemas for services, and versions as they are registered.

use efd_proto::registry::v1::schema_service_client::SchemaServiceClient;
use efd_proto::registry::v1::{
    GetLatestVersionRequest, GetSchemaRequest, SubjectVersion, WatchVersionsRequest, WatchVersionsResponse,
};
use efd_schema::{RegistryClient, RegistryConfig};
use efd_tests::{DEADLINE, Generation, Options, Stack};
use serde_json::json;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

const SCHEMA: &str = r#"{"type":"record","name":"y","fields":[{"name":"a","type":"int","units":"m"}]}"#;

struct Registry {
    stack: Stack,
    rest: RegistryClient,
    grpc: SchemaServiceClient<Channel>,
}

async fn registry() -> Registry {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    stack.start_registry().await.unwrap();
    let config = RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() };
    let rest = RegistryClient::new(&config).unwrap();
    let grpc = SchemaServiceClient::connect(stack.registry_grpc_url()).await.unwrap();
    Registry { stack, rest, grpc }
}

async fn next(stream: &mut Streaming<WatchVersionsResponse>) -> SubjectVersion {
    let response = tokio::time::timeout(DEADLINE, stream.message()).await.unwrap().unwrap();
    response.unwrap().version.unwrap()
}

#[tokio::test]
async fn schemas_are_given_by_id_and_by_subject() {
    let Registry { stack: _stack, rest, mut grpc } = registry().await;
    let id = rest.register("a/b c-value", SCHEMA).await.unwrap();
    let schema = grpc.get_schema(GetSchemaRequest { id }).await.unwrap().into_inner().schema;
    assert_eq!(schema, SCHEMA);
    let subject = "a/b c-value".to_owned();
    let latest = grpc.get_latest_version(GetLatestVersionRequest { subject }).await.unwrap();
    let expected = SubjectVersion { subject: "a/b c-value".into(), version: 1, id, schema: SCHEMA.into() };
    assert_eq!(latest.into_inner().version, Some(expected));

    let absent = grpc.get_schema(GetSchemaRequest { id: id + 1 }).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound, "{absent}");
    let nobody = GetLatestVersionRequest { subject: "nobody".into() };
    assert_eq!(grpc.get_latest_version(nobody).await.unwrap_err().code(), Code::NotFound);
    let empty = GetLatestVersionRequest { subject: String::new() };
    assert_eq!(grpc.get_latest_version(empty).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn versions_are_told_as_they_are_registered_and_the_stream_ends_with_the_registry() {
    let Registry { mut stack, rest, mut grpc } = registry().await;
    rest.register("a-value", SCHEMA).await.unwrap();
    let watch = |include_known| WatchVersionsRequest { subject_prefix: "a".into(), include_known };
    let mut whole = grpc.watch_versions(watch(true)).await.unwrap().into_inner();
    let mut fresh = grpc.watch_versions(watch(false)).await.unwrap().into_inner();
    let first = next(&mut whole).await;
    assert_eq!((first.subject.as_str(), first.version, first.schema.as_str()), ("a-value", 1, SCHEMA));
    rest.register("b-value", SCHEMA).await.unwrap();
    let wider = SCHEMA.replace("\"int\"", "\"long\"");
    let id = rest.register("a-value", &wider).await.unwrap();
    for stream in [&mut whole, &mut fresh] {
        let version = next(stream).await;
        assert_eq!((version.subject.as_str(), version.version, version.id), ("a-value", 2, id));
        assert_eq!(version.schema, wider);
    }
    let registry = stack.registry.as_mut().unwrap();
    assert_eq!(registry.terminate().await.unwrap(), Some(0), "{}", registry.log().unwrap());
    let end = tokio::time::timeout(DEADLINE, whole.message()).await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable, "{end}");
}

#[tokio::test]
async fn no_more_streams_are_open_than_may_be() {
    let stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let settings = json!({"grpc_limits": {"max_watches": 2}});
    let mut registry = stack.launch_another_registry("limited", &settings).unwrap();
    registry.service.ready().await.unwrap();
    let mut grpc = SchemaServiceClient::connect(registry.grpc_url()).await.unwrap();
    let watch = || WatchVersionsRequest { subject_prefix: String::new(), include_known: true };
    let first = grpc.watch_versions(watch()).await.unwrap();
    let _second = grpc.watch_versions(watch()).await.unwrap();
    assert_eq!(grpc.watch_versions(watch()).await.unwrap_err().code(), Code::ResourceExhausted);
    // A client that goes away makes room.
    drop(first);
    efd_tests::eventually("there is room for another", || {
        let mut grpc = grpc.clone();
        async move { Ok(grpc.watch_versions(watch()).await.is_ok()) }
    })
    .await
    .unwrap();
}
