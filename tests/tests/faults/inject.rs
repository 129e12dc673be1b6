//! What is done while records flow, and the proof that it was.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use efd_ingest::simulator::Report;
use efd_kafka::OutRecord;
use efd_tests::proxy::{Proxy, Trouble};
use efd_tests::{Stack, eventually, now_nanos};
use http::StatusCode;

use crate::fault::{Act, CONFLICT};
use crate::run::Run;

/// How long the broker and the registry are away, and how long every write is answered with a status.
const AWAY: Duration = Duration::from_secs(5);
/// How long InfluxDB is away, its disk full, or one of its limits small.
const LONG_AWAY: Duration = Duration::from_secs(6);
/// How long one write in [`EVERY`] is in trouble after that.
const NOW_AND_THEN: Duration = Duration::from_secs(3);
/// See [`NOW_AND_THEN`].
const EVERY: u64 = 5;
/// How long the standby is dead.
const MINUTE: Duration = Duration::from_secs(60);
/// What the clocks of proxy and suite may differ in what they call a minute.
const SECOND: Duration = Duration::from_secs(1);
/// Tombstones to each of [`WITH_TOMBSTONES`].
const TOMBSTONES: u64 = 250;
/// Topics that get tombstones.
const WITH_TOMBSTONES: [&str; 4] = [
    "lsst.sal.Test.scalars",
    "lsst.sal.ATCamera.vacuum",
    "lsst.sal.MTM1M3.imsData",
    "lsst.sal.Test.logevent_heartbeat",
];

/// Lets the fault happen, from its beginning to its end.
pub async fn inject(run: &mut Run) -> anyhow::Result<()> {
    match run.fault.act {
        Act::Nothing | Act::Spoil | Act::Conflict | Act::SchemaChange => Ok(()),
        Act::KillSink => kill_sink(run).await,
        Act::ScaleSink => scale_sink(run).await,
        Act::StopBroker => {
            run.stack.kafka.kill();
            lasts(AWAY).await;
            run.stack.kafka.start_again().await
        }
        Act::LateRegistry => registry_comes(run).await,
        Act::StopRegistry => {
            run.stack.registry.as_mut().context("the registry runs")?.kill();
            restart_sink(run)?;
            registry_comes(run).await
        }
        Act::RegistryAnswers => {
            run.registry.set(answer(StatusCode::INTERNAL_SERVER_ERROR));
            restart_sink(run)?;
            waits_for_schemas(run).await?;
            run.registry.set(Trouble::None);
            Ok(())
        }
        Act::StopInfluxDb => {
            run.stack.influxdb.stop();
            lasts(LONG_AWAY).await;
            run.stack.influxdb.start_again().await
        }
        Act::Slow => slow(&run.influxdb).await,
        Act::Answers(status) => answers(run, StatusCode::from_u16(status)?).await,
        Act::Limit => {
            run.influxdb.set(Trouble::Limit(64 * 1024));
            lasts(LONG_AWAY).await;
            run.influxdb.set(Trouble::None);
            Ok(())
        }
        Act::Cut => now_and_then(&run.influxdb, Trouble::Cut).await,
        Act::DeadStandby => {
            run.standby.set(Trouble::Dead);
            lasts(MINUTE).await;
            run.standby.set(Trouble::None);
            let before = run.standby.traffic().acknowledged;
            eventually("the standby is written to", || async {
                Ok(run.standby.traffic().acknowledged > before + 5)
            })
            .await
        }
        Act::Undecodable => tombstones(run).await,
        Act::FullDisk => fill_disk(run).await,
    }
}

/// Whether the fault left its traces; a suite whose faults do not happen proves nothing.
pub async fn was_effective(run: &Run, report: &Report) -> anyhow::Result<()> {
    let [influxdb, standby, registry] = [&run.influxdb, &run.standby, &run.registry].map(Proxy::traffic);
    match run.fault.act {
        Act::Slow | Act::Answers(_) | Act::Limit | Act::Cut | Act::Spoil => {
            ensure!(
                influxdb.troubled > 3,
                "only {} of {} writes were in trouble",
                influxdb.troubled,
                influxdb.requests
            );
        }
        Act::RegistryAnswers => ensure!(registry.troubled > 0, "nobody asked the registry"),
        Act::DeadStandby => {
            ensure!(
                standby.worst_stall + SECOND >= MINUTE,
                "the standby was dead for {:?}",
                standby.worst_stall
            );
        }
        Act::StopBroker | Act::StopInfluxDb => {
            ensure!(influxdb.worst_stall >= AWAY, "writes paused for {:?} only", influxdb.worst_stall);
        }
        Act::Undecodable => {
            ensure!(report.totals.undecodable > 500, "{} undecodable", report.totals.undecodable)
        }
        Act::SchemaChange => {
            ensure!(report.totals.schema_changes == 10, "{} schemas changed", report.totals.schema_changes);
        }
        // Their own steps fail when they do not happen.
        Act::Nothing | Act::KillSink | Act::ScaleSink | Act::LateRegistry | Act::StopRegistry => {}
        Act::Conflict | Act::FullDisk => {}
    }
    Ok(())
}

/// Writes a point whose field has another type than SAL's; its time.
pub async fn conflict(stack: &Stack) -> anyhow::Result<i64> {
    let nanos = i64::try_from(now_nanos())?;
    stack.write_lines(&format!("{CONFLICT} private_seqNum=\"text\" {nanos}")).await?;
    Ok(nanos)
}

async fn lasts(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn kill_sink(run: &mut Run) -> anyhow::Result<()> {
    for _ in 0..2 {
        restart_sink(run)?;
        run.sink()?.ready().await?;
        run.writes_again().await?;
    }
    Ok(())
}

fn restart_sink(run: &mut Run) -> anyhow::Result<()> {
    run.sink()?.kill();
    run.sink()?.start_again()
}

async fn scale_sink(run: &mut Run) -> anyhow::Result<()> {
    for _ in 0..2 {
        run.replicas.push(run.stack.another_sink().await?);
    }
    for replica in &run.replicas {
        // It took partitions over and writes them.
        replica.metric_reaches("efd_sink_points_written_total", 500.0).await?;
    }
    for mut replica in run.replicas.drain(..) {
        let code = replica.terminate().await?;
        ensure!(code == Some(0), "a replica ended with {code:?}: {}", replica.log()?);
    }
    Ok(())
}

async fn registry_comes(run: &mut Run) -> anyhow::Result<()> {
    waits_for_schemas(run).await?;
    run.stack.registry.as_mut().context("the registry was started")?.start_again()
}

/// Waits until the sink waits for the registry, and then a while.
async fn waits_for_schemas(run: &Run) -> anyhow::Result<()> {
    let sink = run.stack.sink.as_ref().context("the sink runs")?;
    sink.metric_reaches("efd_sink_paused_partitions", 1.0).await?;
    lasts(AWAY).await;
    let paused = sink.metrics().await?.sum("efd_sink_paused_partitions", &[]);
    ensure!(paused > 0.0, "the sink did not wait for the registry");
    Ok(())
}

async fn slow(influxdb: &Proxy) -> anyhow::Result<()> {
    influxdb.set(Trouble::Delay { request: Duration::from_millis(700), answer: Duration::ZERO });
    lasts(AWAY).await;
    influxdb.set(Trouble::Delay { request: Duration::ZERO, answer: Duration::from_secs(4) });
    lasts(LONG_AWAY).await;
    influxdb.set(Trouble::None);
    Ok(())
}

async fn answers(run: &Run, status: StatusCode) -> anyhow::Result<()> {
    if matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) {
        // Now and then, such an answer says that there is something wrong with the lines.
        run.influxdb.set(answer(status));
        lasts(AWAY).await;
        run.influxdb.set(Trouble::None);
        return Ok(());
    }
    now_and_then(&run.influxdb, answer(status)).await
}

/// Trouble for all writes, then for some.
async fn now_and_then(proxy: &Proxy, trouble: Trouble) -> anyhow::Result<()> {
    proxy.set(trouble.clone());
    lasts(AWAY).await;
    proxy.set_for_one_in(trouble, EVERY);
    lasts(NOW_AND_THEN).await;
    proxy.set(Trouble::None);
    Ok(())
}

/// Answers in the words of InfluxDB where it has any, else in those of a proxy before it.
fn answer(status: StatusCode) -> Trouble {
    let body = match status.as_u16() {
        401 => r#"{"code":"unauthorized","message":"unauthorized access"}"#,
        403 => r#"{"code":"forbidden","message":"insufficient permissions for write"}"#,
        404 => r#"{"code":"not found","message":"bucket \"efd/autogen\" not found"}"#,
        429 => r#"{"code":"too many requests","message":"org has exceeded limited_write plan limit"}"#,
        500 => r#"{"error":"engine: cache-max-memory-size exceeded: (1073741824/1073741824)"}"#,
        503 => r#"{"code":"unavailable","message":"upstream connect error"}"#,
        _ => "<html><body>no</body></html>",
    };
    let retry_after = matches!(status.as_u16(), 429 | 503).then_some(1);
    Trouble::Answer { status, body, retry_after }
}

async fn tombstones(run: &mut Run) -> anyhow::Result<()> {
    let mut batch = run.stack.producer()?.batch();
    for topic in WITH_TOMBSTONES {
        for _ in 0..TOMBSTONES {
            batch.send(OutRecord { topic, key: Some(b"tombstone"), ..OutRecord::default() }).await?;
            run.tombstones += 1;
        }
    }
    Ok(batch.delivered().await?)
}

async fn fill_disk(run: &mut Run) -> anyhow::Result<()> {
    let disk = run.stack.disk.as_ref().context("InfluxDB has a disk of its own")?;
    disk.fill()?;
    let before = run.influxdb.traffic().refused;
    let is_refused = eventually("InfluxDB refuses a write because its disk is full", || async {
        Ok(run.influxdb.traffic().refused > before)
    })
    .await;
    lasts(LONG_AWAY).await;
    disk.free()?;
    // InfluxDB keeps the error of its log's last write, and refuses until it is started again.
    run.stack.influxdb.stop();
    run.stack.influxdb.start_again().await?;
    is_refused
}
