//! What the demo tells when everything is up.

use std::fmt::Write as _;

use super::Servers;
use super::files::Files;

/// Addresses, the line for a second terminal, and five commands to try.
pub fn greeting(files: &Files, servers: &Servers) -> String {
    let mut text = String::new();
    let mut line = |text_line: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{text_line}");
    };
    line(&format!("EFD records {}.", files.components.join(", ")));
    line("");
    line(&format!(
        "  Kafka      {}{}",
        files.kafka,
        pid(servers.kafka.as_ref().and_then(|kafka| kafka.pid()))
    ));
    line(&format!("  registry   {}", files.registry()));
    line(&format!(
        "  InfluxDB   {}{}",
        files.influxdb,
        pid(servers.influxdb.as_ref().and_then(|db| db.pid()))
    ));
    line(&format!("  gateway    {} (gRPC), {} (InfluxQL)", files.gateway(), files.gateway_http()));
    line(&format!("  sink       {}/metrics", files.sink_admin()));
    line(&format!("  ingest     {}/metrics", files.ingest_admin()));
    line("");
    line("In another terminal:");
    line("");
    line(&format!("  export EFD_CONFIG={}", files.path("efd").display()));
    // Only that of the demo's own server: somebody else's is a secret.
    if servers.influxdb.is_some() && !files.token.is_empty() {
        line(&format!("  export EFD_INFLUXDB_TOKEN={}", files.token));
    }
    if let Some(program) =
        std::env::current_exe().ok().and_then(|path| path.parent().map(std::path::Path::to_owned))
    {
        line(&format!("  export PATH=$PATH:{}", program.display()));
    }
    line("");
    line("  efd check");
    line("  efd topics lsst.sal.ATCamera");
    line("  efd topics lsst.sal.MTM1M3.forceActuatorData");
    line("  efd get lsst.sal.MTM1M3.forceActuatorData --last 10s --fields primaryCylinderForce --format csv");
    line(&format!("  kcat -b {} -L", files.kafka));
    if let Some(influxdb) = &servers.influxdb
        && let Some(pid) = influxdb.pid()
    {
        line("");
        line("To see that nothing is lost when InfluxDB stops, stop it, look, and start it again:");
        line("");
        line(&format!("  kill -INT {pid}; efd check; {} &", influxdb.run_script().display()));
    }
    line("");
    line("Ctrl-C stops everything, counts what arrived, and leaves nothing behind.");
    line("");
    text
}

fn pid(pid: Option<i32>) -> String {
    pid.map_or_else(String::new, |pid| format!("   (process {pid})"))
}
