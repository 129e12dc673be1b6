//! The simulator against a clock that the test moves.

use super::*;
use crate::simulator::settings::{Max, Rate};
use crate::testing;

fn config(duration: Duration, rate: Rate) -> Config {
    let simulator =
        SimulatorConfig { enabled: true, rate, duration: Some(duration), ..SimulatorConfig::default() };
    Config { simulator, ..Config::default() }
}

fn simulator(duration: Duration, rate: f64) -> Simulator {
    let topics = testing::sample_topics([testing::scalars()]);
    Simulator::new(&config(duration, Rate::Factor(rate)), &topics, Clock::new(None).unwrap()).unwrap()
}

/// When each sample of the ten-per-second topic came, since the start; the reader sleeps once, after the first 20.
async fn arrivals(simulator: Simulator, pause: Duration) -> Vec<Duration> {
    let (samples, mut queue) = mpsc::channel(1);
    let start = Instant::now();
    let source = tokio::spawn(simulator.run(samples, Stop::default()));
    let mut times = Vec::new();
    while let Some(sample) = queue.recv().await {
        assert_eq!(sample.topic.topic.sal_name, "scalars");
        times.push(start.elapsed());
        if times.len() == 20 {
            tokio::time::sleep(pause).await;
        }
    }
    let sent = source.await.unwrap().unwrap();
    assert!(sent.is_complete);
    assert_eq!(sent.account.records(), times.len() as u64);
    times
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_samples_shows_no_drift() {
    let times = arrivals(simulator(Duration::from_secs(3600), 1.0), Duration::ZERO).await;
    assert_eq!(times.len(), 36_000);
    for (number, time) in (0_u32..).zip(&times) {
        let off = time.saturating_sub(times[0]).abs_diff(Duration::from_millis(100) * number);
        assert!(off <= Duration::from_millis(2), "sample {number} is off by {off:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_hold_up_is_made_up_for() {
    let times = arrivals(simulator(Duration::from_secs(60), 1.0), Duration::from_millis(900)).await;
    assert_eq!(times.len(), 600);
    let length = times[599] - times[0];
    assert!(length.abs_diff(Duration::from_millis(59_900)) <= Duration::from_millis(2), "{length:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_long_hold_up_only_the_last_second_is_made_up_for() {
    let times = arrivals(simulator(Duration::from_secs(60), 1.0), Duration::from_secs(600)).await;
    assert_eq!(times.len(), 600, "the schedule goes on where it was");
    let gap = Duration::from_secs(600);
    let burst = times.iter().filter(|time| time.abs_diff(times[20]) < Duration::from_millis(50)).count();
    assert!((10..=14).contains(&burst), "{burst} samples at once, with those that waited");
    assert!(times[599] - times[0] > gap, "the rest keeps its pace");
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_a_factor() {
    let times = arrivals(simulator(Duration::from_secs(60), 50.0), Duration::ZERO).await;
    assert_eq!(times.len(), 30_000);
    assert!(times.last().is_some_and(|last| *last <= Duration::from_secs(60)));
}

#[tokio::test(start_paused = true)]
async fn without_a_throttle_the_same_samples_take_no_time() {
    let topics = testing::sample_topics([testing::scalars()]);
    let config = config(Duration::from_secs(3600), Rate::Unthrottled(Max::Max));
    let simulator = Simulator::new(&config, &topics, Clock::new(None).unwrap()).unwrap();
    let times = arrivals(simulator, Duration::ZERO).await;
    assert_eq!((times.len(), times.last()), (36_000, Some(&Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_simulator_that_waits_for_a_full_queue() {
    let (samples, mut queue) = mpsc::channel(1);
    let stop = Stop::default();
    let source = tokio::spawn(simulator(Duration::from_secs(3600), 1.0).run(samples, stop.clone()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!source.is_finished(), "it waits for room in the queue");
    stop.request();
    let sent = source.await.unwrap().unwrap();
    assert!(!sent.is_complete);
    let mut waiting = 0;
    while queue.recv().await.is_some() {
        waiting += 1;
    }
    assert_eq!(sent.account.records(), waiting, "only what was put into the queue counts");
}

#[test]
fn a_file_of_rates_that_is_not_there_is_named() {
    let mut config = config(Duration::from_secs(1), Rate::Factor(1.0));
    config.simulator.rates = Some("/nowhere/rates.yaml".into());
    let error = Simulator::new(&config, &[], Clock::new(None).unwrap()).unwrap_err().to_string();
    assert!(error.contains("simulator.rates") && error.contains("/nowhere/rates.yaml"), "{error}");
}
