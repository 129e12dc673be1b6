//! The load: which topics the simulator publishes how often, and when the fault comes.

use serde_json::{Value, json};

use crate::fault::Act;

/// Records delivered before the fault begins.
pub const BEFORE: f64 = 20_000.0;
/// Records delivered in all, at least.
pub const RECORDS: f64 = 100_500.0;
/// Records delivered after the fault is over, at least.
pub const AFTER: f64 = 10_000.0;
/// Values a second in all, at least; else the load was none.
pub const VALUES_PER_SECOND: f64 = 100_000.0;

/// Components of the load.
pub const COMPONENTS: [&str; 3] = ["ATCamera", "MTM1M3", "Test"];

/// Rates: 7,500 records and 215,000 values a second, wide topics and narrow ones as at the observatory.
pub const RATES: &str = r#"
- {topics: MTM1M3.forceActuatorData, hertz: 50}
- {topics: MTM1M3.hardpointActuatorData, hertz: 500}
- {topics: MTM1M3.imsData, hertz: 1000}
- {topics: MTM1M3.accelerometerData, hertz: 500}
- {topics: MTM1M3.outerLoopData, hertz: 1500}
- {topics: MTM1M3.gyroData, hertz: 10}
- {topics: ATCamera.vacuum, hertz: 1500}
- {topics: ATCamera.power, hertz: 500}
- {topics: ATCamera.daq_monitor_Reb_Trending, hertz: 200}
- {topics: Test.scalars, hertz: 1500}
- {topics: Test.arrays, hertz: 200}
- {topics: MTM1M3, hertz: 1}
"#;

/// Settings of the simulator.
pub fn simulator(act: Act, rates: &std::path::Path, account: &std::path::Path) -> Value {
    let inject = match act {
        Act::Undecodable => json!({"undecodable": 0.01}),
        Act::SchemaChange => json!({"schema_changes": 10, "schema_change_after": "5s"}),
        _ => json!({}),
    };
    // A minute at the full rate would only make the comparison longer.
    let rate = if act == Act::DeadStandby { 0.6 } else { 1.0 };
    json!({"simulator": {"enabled": true, "rate": rate, "rates": rates, "account": account, "inject": inject}})
}
