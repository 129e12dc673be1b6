//! Several registries on one log: one writes, the others forward to it, and follow it when it is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use efd_schema::{RegistryClient, RegistryConfig, RegistryErrorKind};
use efd_service::http::Client;
use efd_tests::{DEADLINE, Generation, Options, Registry, Stack, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Clients that write at once.
const CLIENTS: usize = 16;

type Ids = BTreeMap<String, u32>;

fn client(url: &str) -> RegistryClient {
    let config = RegistryConfig { url: Some(url.to_owned()), ..RegistryConfig::default() };
    RegistryClient::new(&config).unwrap()
}

fn schema(client: usize, number: usize) -> (String, String) {
    let name = format!("r{client}_{number}");
    let text = json!({"type": "record", "name": name, "namespace": "lsst.sal.X", "fields": [{"name": "a", "type": "int"}]});
    (format!("lsst.sal.X.{name}-value"), text.to_string())
}

/// Kafka and two ready replicas.
async fn replicas() -> (Stack, Vec<Registry>) {
    let stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let mut registries = Vec::new();
    for label in ["first", "second"] {
        let mut registry = stack.launch_another_registry(label, &json!({})).unwrap();
        registry.service.ready().await.unwrap();
        registries.push(registry);
        // One after the other: those that start together contend for a moment, and the roles may change once more.
        one_writes(&registries).await;
    }
    (stack, registries)
}

/// Both have settled: a replica that starts while another takes over may contend with it for a moment.
async fn one_writes(registries: &[Registry]) {
    eventually("one replica writes", || async {
        let mut writers = 0;
        for registry in registries {
            writers += usize::from(registry.is_writer().await.unwrap_or(false));
        }
        Ok(writers == 1)
    })
    .await
    .unwrap();
}

/// The writer first, then the other.
async fn in_order(mut registries: Vec<Registry>) -> (Registry, Registry) {
    let other = registries.pop().unwrap();
    let first = registries.pop().unwrap();
    if first.is_writer().await.unwrap() { (first, other) } else { (other, first) }
}

async fn call(url: &str, method: &str, path: &str) -> (u16, Value) {
    let request =
        http::Request::builder().method(method).uri(format!("{url}{path}")).body(Bytes::new()).unwrap();
    let answer = Client::new(None).unwrap().send(request, DEADLINE).await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
}

/// What a registry says of all subjects.
async fn ids_at(url: &str) -> Ids {
    let client = client(url);
    let mut ids = Ids::new();
    for subject in client.subjects().await.unwrap() {
        let latest = client.latest(&subject).await.unwrap();
        ids.insert(subject, latest.id);
    }
    ids
}

fn assert_unique(ids: &Ids) {
    let mut all: Vec<u32> = ids.values().copied().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), ids.len(), "an id was given twice: {ids:?}");
}

/// Writes until told to stop, from many clients; gives what was acknowledged.
async fn write(urls: &[String], stop: &Arc<AtomicBool>) -> JoinSet<Ids> {
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let (url, stop) = (urls[number % urls.len()].clone(), stop.clone());
        tasks.spawn(async move {
            let (client, mut acknowledged) = (client(&url), Ids::new());
            for round in 0.. {
                let (subject, text) = schema(number, round);
                let Some(id) = insist(&client, &subject, &text, &stop).await else { break };
                acknowledged.insert(subject, id);
            }
            acknowledged
        });
    }
    tasks
}

/// Registers a schema, again and again until it is acknowledged or enough.
async fn insist(client: &RegistryClient, subject: &str, text: &str, stop: &AtomicBool) -> Option<u32> {
    while !stop.load(Ordering::Acquire) {
        match client.register(subject, text).await {
            Ok(id) => return Some(id),
            Err(error) => assert_eq!(error.kind(), RegistryErrorKind::Transient, "{error}"),
        }
    }
    None
}

/// Whether a replica that does not write has forwarded many writes to the other one.
async fn forwards(registries: &[Registry]) -> anyhow::Result<bool> {
    let (mut has_writer, mut has_other) = (false, false);
    for registry in registries {
        let forwarded = registry.service.metrics().await?.sum("efd_registry_writes_forwarded_total", &[]);
        let is_writer = registry.is_writer().await?;
        has_writer |= is_writer;
        has_other |= !is_writer && forwarded >= 100.0;
    }
    Ok(has_writer && has_other)
}

async fn gather(tasks: JoinSet<Ids>) -> Ids {
    tasks.join_all().await.into_iter().flatten().collect()
}

#[tokio::test]
async fn replicas_give_each_schema_one_id_and_read_what_was_written_at_them() {
    let (_stack, registries) = replicas().await;
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let client = client(&registries[number % 2].url());
        tasks.spawn(async move {
            let mut ids = Ids::new();
            for round in 0..20 {
                let (subject, text) = schema(number, round);
                let id = client.register(&subject, &text).await.unwrap();
                // At the same replica at once, though the other one may have written it.
                assert_eq!(*client.schema_by_id(id).await.unwrap(), *text);
                assert_eq!(client.latest(&subject).await.unwrap().id, id);
                ids.insert(subject, id);
            }
            ids
        });
    }
    let given = gather(tasks).await;
    assert_eq!(given.len(), CLIENTS * 20);
    assert_unique(&given);
    for registry in &registries {
        eventually("both replicas know all", || async { Ok(ids_at(&registry.url()).await == given) })
            .await
            .unwrap();
    }
    one_writes(&registries).await;
    // The same schema at the same time at both replicas has one id.
    for round in 100..120 {
        let (subject, text) = schema(0, round);
        let (one, other) = (client(&registries[0].url()), client(&registries[1].url()));
        let (one, other) = tokio::join!(one.register(&subject, &text), other.register(&subject, &text));
        assert_eq!(one.unwrap(), other.unwrap());
    }
}

#[tokio::test]
async fn replicas_that_start_together_may_contend_but_give_each_schema_one_id() {
    let stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let mut registries: Vec<Registry> = ["first", "second", "third"]
        .map(|label| stack.launch_another_registry(label, &json!({})).unwrap())
        .into_iter()
        .collect();
    let mut tasks = JoinSet::new();
    let stop = Arc::new(AtomicBool::new(false));
    for registry in &mut registries {
        registry.service.ready().await.unwrap();
        // From its first moment on, while who writes may change once more.
        for number in 0..CLIENTS {
            let (client, stop) = (client(&registry.url()), stop.clone());
            tasks.spawn(async move {
                let (subject, text) = schema(number, 0);
                Ids::from([(subject.clone(), insist(&client, &subject, &text, &stop).await.unwrap())])
            });
        }
    }
    let answers = tokio::time::timeout(DEADLINE, tasks.join_all()).await.unwrap();
    assert_eq!(answers.len(), CLIENTS * registries.len());
    let given: Ids = answers.iter().flatten().map(|(subject, id)| (subject.clone(), *id)).collect();
    for (subject, id) in answers.iter().flatten() {
        assert_eq!(given.get(subject), Some(id), "{subject} has two ids");
    }
    assert_unique(&given);
    for registry in &registries {
        eventually("all replicas know all", || async { Ok(ids_at(&registry.url()).await == given) })
            .await
            .unwrap();
    }
    one_writes(&registries).await;
}

#[tokio::test]
async fn every_write_works_at_every_replica_and_errors_are_the_writers() {
    let (_stack, registries) = replicas().await;
    let (_writer, other) = in_order(registries).await;
    let url = other.url();
    let (subject, text) = schema(0, 0);
    let id = client(&url).register(&subject, &text).await.unwrap();
    assert_eq!(client(&url).register(&subject, &text).await.unwrap(), id);
    let (status, answer) = call(&url, "DELETE", &format!("/subjects/{subject}?permanent=true")).await;
    assert_eq!((status, &answer["error_code"]), (404, &json!(40405)), "{answer}");
    assert_eq!(call(&url, "DELETE", &format!("/subjects/{subject}")).await, (200, json!([1])));
    assert_eq!(call(&url, "DELETE", &format!("/subjects/{subject}?permanent=true")).await, (200, json!([1])));
    assert_eq!(call(&url, "GET", "/subjects?deleted=true").await, (200, json!([])));
    let again = client(&url).register(&subject, &text).await.unwrap();
    assert!(again > id, "an id is never given again, not even after a permanent delete: {again}, {id}");
    let forwarded = other.service.metrics().await.unwrap().sum("efd_registry_writes_forwarded_total", &[]);
    assert_eq!(forwarded, 5.0, "one for each change, none for what is known");
}

#[tokio::test]
async fn a_killed_writer_is_followed_and_nothing_acknowledged_is_lost() {
    let (_stack, registries) = replicas().await;
    let urls: Vec<String> = registries.iter().map(Registry::url).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = write(&urls, &stop).await;
    // Replicas that start together may contend for a moment, so who writes is looked at when it is settled.
    eventually("one writes, and the other forwards to it", || async { forwards(&registries).await })
        .await
        .unwrap();
    let (mut writer, mut other) = in_order(registries).await;
    writer.service.kill();
    let killed = Instant::now();
    eventually("the other replica has written", || async {
        Ok(other.service.metrics().await?.sum("efd_registry_writes_total", &[("result", "committed")]) > 0.0)
    })
    .await
    .unwrap();
    println!("writes go on {:.1} s after the writer was killed", killed.elapsed().as_secs_f64());
    other.service.metric_reaches("efd_registry_writes_total", 20.0).await.unwrap();

    // The killed one comes back and is a replica like any other; then the present writer leaves in peace.
    writer.service.start_again().unwrap();
    writer.service.ready().await.unwrap();
    assert!(!writer.is_writer().await.unwrap());
    assert_eq!(other.service.terminate().await.unwrap(), Some(0), "{}", other.service.log().unwrap());
    let left = Instant::now();
    writer.service.metric_reaches("efd_registry_writes_total", 20.0).await.unwrap();
    println!("20 writes {:.1} s after the writer left in peace", left.elapsed().as_secs_f64());
    other.service.start_again().unwrap();
    other.service.ready().await.unwrap();

    stop.store(true, Ordering::Release);
    let acknowledged = gather(tasks).await;
    assert!(acknowledged.len() > 120, "{}", acknowledged.len());
    println!("{} registrations acknowledged", acknowledged.len());
    let known = ids_at(&writer.url()).await;
    assert_unique(&known);
    for (subject, id) in &acknowledged {
        assert_eq!(known.get(subject), Some(id), "{subject} was acknowledged with id {id}");
    }
    assert_eq!(ids_at(&other.url()).await, known);
}

#[tokio::test]
async fn a_writer_that_was_only_slow_is_fenced_and_forwards_from_then_on() {
    let (_stack, registries) = replicas().await;
    let (slow, other) = in_order(registries).await;
    let (subject, text) = schema(0, 0);
    let first = client(&slow.url()).register(&subject, &text).await.unwrap();
    slow.service.pause().unwrap();
    eventually("the other replica writes", || other.is_writer()).await.unwrap();
    let (subject, text) = schema(0, 1);
    let second = client(&other.url()).register(&subject, &text).await.unwrap();
    slow.service.resume().unwrap();
    let (subject, text) = schema(0, 2);
    let mut third = None;
    eventually("the slow one takes writes again", || async {
        Ok(client(&slow.url()).register(&subject, &text).await.is_ok())
    })
    .await
    .unwrap();
    third.get_or_insert(client(&slow.url()).register(&subject, &text).await.unwrap());
    let registries = [slow, other];
    one_writes(&registries).await;
    let known = ids_at(&registries[0].url()).await;
    assert_unique(&known);
    assert_eq!(known.values().copied().collect::<Vec<_>>(), [first, second, third.unwrap()]);
    assert_eq!(ids_at(&registries[1].url()).await, known);
}
