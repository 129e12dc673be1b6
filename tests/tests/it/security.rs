//! Kafka that demands SCRAM-SHA-512, with and without TLS: the main job, and what a wrong password looks like.

use efd_tests::{Generation, Options, PASSWORD, Protection, Service, Stack, Told, USER, efd, eventually};
use rstest::rstest;

/// What an operator does when a password was rotated.
const NEW_PASSWORD: &str = "new-password";

fn options(protection: Protection, told: Told) -> Options {
    let mut options = Options::new(Generation::V1);
    (options.protection, options.told) = (protection, told);
    options
}

#[rstest]
#[case::scram(Protection::Scram, Told::BySettings)]
#[case::scram_by_the_names_of_sal(Protection::Scram, Told::ByLsstNames)]
#[case::scram_over_tls(Protection::ScramOverTls, Told::BySettings)]
#[case::scram_over_tls_by_environment(Protection::ScramOverTls, Told::ByEfdNames)]
#[tokio::test]
async fn every_record_becomes_one_point(#[case] protection: Protection, #[case] told: Told) {
    let mut stack = Stack::recording(options(protection, told)).await.unwrap();
    stack.start_gateway().await.unwrap();
    let init = run(&stack, &["init", "Test", "ATCamera"]).await;
    assert_eq!(init.code, Some(0), "{}", init.err);
    assert!(init.out.contains("ATCamera") && init.err.is_empty(), "{}{}", init.out, init.err);
    let records = stack.simulate(1000.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let check = run(&stack, &["check"]).await;
    assert_eq!(check.code, Some(0), "{}{}", check.out, check.err);
}

/// A dead letter needs a producer and an administrator of the sink's own.
#[tokio::test]
async fn dead_letters_are_delivered_too() {
    let mut stack = Stack::recording(options(Protection::ScramOverTls, Told::BySettings)).await.unwrap();
    let records = stack.simulate(100.0).await.unwrap();
    let topic = "lsst.sal.Test.scalars";
    let mut batch = stack.producer().unwrap().batch();
    let record = efd_kafka::OutRecord { topic, payload: Some(b"no record"), ..Default::default() };
    batch.send(record).await.unwrap();
    batch.delivered().await.unwrap();
    eventually("the dead letter is in Kafka", || async { Ok(stack.dead_letters().await.unwrap_or(0) == 1) })
        .await
        .unwrap();
    stack.points_reach(records).await.unwrap();
}

#[rstest]
#[case::scram(Protection::Scram)]
#[case::scram_over_tls(Protection::ScramOverTls)]
#[tokio::test]
async fn a_wrong_password_is_one_line_and_heals_when_it_is_rotated(#[case] protection: Protection) {
    let mut options = options(protection, Told::BySettings);
    options.password = NEW_PASSWORD;
    let mut stack = Stack::servers(options).await.unwrap();
    stack.launch_registry().unwrap();
    stack.launch_sink().unwrap();
    stack.launch_ingest().unwrap();
    for service in services(&mut stack) {
        waits_and_says_why(service).await;
    }
    // Nobody restarts them: they try the password that they were told until the broker takes it.
    stack.kafka.set_password(NEW_PASSWORD).await.unwrap();
    for service in services(&mut stack) {
        service.ready().await.unwrap();
        assert_eq!(refusals(service).len(), 1, "{}", service.log().unwrap());
    }
    let ingest = stack.ingest.as_ref().unwrap();
    ingest.metric_reaches("efd_ingest_records_delivered_total", 200.0).await.unwrap();
    stack.stop_ingest().await.unwrap();
    let records = stack.records_in_kafka().await.unwrap();
    stack.points_reach(records).await.unwrap();
}

#[tokio::test]
async fn commands_end_with_one_line_that_says_who_was_refused_where() {
    let mut options = options(Protection::Scram, Told::BySettings);
    options.password = "guessed";
    let stack = Stack::servers(options).await.unwrap();
    let address = stack.kafka.bootstrap_servers();
    for arguments in [&["init", "Test"][..], &["check", "kafka"]] {
        let answer = run(&stack, arguments).await;
        assert_eq!(answer.code, Some(1), "{arguments:?}");
        assert_eq!(answer.err.lines().count(), 1, "{arguments:?}: {}", answer.err);
        for part in ["authentication failed", USER, &address, "EFD_KAFKA_SASL_PASSWORD"] {
            assert!(answer.err.contains(part), "{arguments:?}: {part}: {}", answer.err);
        }
        let all = format!("{}{}", answer.out, answer.err);
        assert!(!all.contains("guessed") && !all.contains(PASSWORD), "{all}");
    }
}

/// The wrong authority, no authentication at all, a password that is missing: each says what is wrong.
#[tokio::test]
async fn other_mistakes_are_one_line_as_well() {
    let stack = Stack::servers(options(Protection::ScramOverTls, Told::ByEfdNames)).await.unwrap();
    let config = stack.efd_config().unwrap();
    let good = stack.environment();
    let broker = stack.folder().join("broker.pem");
    let cases = [
        ("EFD_KAFKA_SSL_CA_LOCATION", broker.to_str().unwrap(), 1, "certificate"),
        ("EFD_KAFKA_SASL_MECHANISM", "SCRAM-SHA-256", 1, "supported mechanisms: SCRAM-SHA-512"),
        ("EFD_KAFKA_SASL_USERNAME", "nobody", 1, "\"nobody\""),
        ("EFD_KAFKA_SASL_PASSWORD_FILE", "", 78, "EFD_KAFKA_SASL_PASSWORD"),
    ];
    for (name, value, code, says) in cases {
        let mut environment: Vec<(&str, &str)> =
            good.iter().map(|(name, value)| (*name, value.as_str())).collect();
        environment.push((name, value));
        let answer = efd(Some(&config), &["init", "Test"], &environment).await.unwrap();
        assert_eq!(answer.code, Some(code), "{name}: {}", answer.err);
        assert_eq!(answer.err.lines().count(), 1, "{name}: {}", answer.err);
        assert!(answer.err.contains(says), "{name}: {}", answer.err);
    }
}

async fn run(stack: &Stack, arguments: &[&str]) -> efd_tests::Output {
    let environment = stack.environment();
    let pairs: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    efd(Some(&stack.efd_config().unwrap()), arguments, &pairs).await.unwrap()
}

fn services(stack: &mut Stack) -> impl Iterator<Item = &mut Service> {
    [&mut stack.registry, &mut stack.sink, &mut stack.ingest].into_iter().flatten()
}

/// Log lines of weight that speak of the password.
fn refusals(service: &Service) -> Vec<String> {
    let log = service.log().unwrap();
    let is_loud = |line: &&str| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
    log.lines()
        .filter(is_loud)
        .filter(|line| line.contains("authentication failed"))
        .map(str::to_owned)
        .collect()
}

async fn waits_and_says_why(service: &Service) {
    let start = std::time::Instant::now();
    eventually("it says that it is refused", || async { Ok(!refusals(service).is_empty()) }).await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds < 15.0, "{seconds}");
    let lines = refusals(service);
    assert!(lines[0].contains(USER) && lines[0].contains("127.0.0.1:"), "{}", lines[0]);
    assert!(!lines[0].contains(NEW_PASSWORD));
    let (status, text) = service.readiness().await.unwrap();
    assert_eq!(status, 503, "{text}");
    // Nothing else is worth a line: that no broker is left follows from it.
    let log = service.log().unwrap();
    let loud: Vec<&str> = log.lines().filter(|line| !line.contains("\"INFO\"")).collect();
    assert_eq!(loud.len(), 1, "{loud:?}");
}
