//! Nominal rates of telemetry, per topic.

use std::time::Duration;

/// Component, beginning of the topic's SAL name (empty: all), samples per second; the first row that fits counts.
///
/// MTM1M3's control loop publishes at 50 Hz, the mount's at 10 Hz; the camera samples its temperatures and voltages
/// every ten seconds and its vacuum every second.
const RATES: [(&str, &str, u32); 5] = [
    ("MTM1M3", "", 50),
    ("MTMount", "", 10),
    ("MTM2", "", 10),
    ("Test", "scalars", 10),
    ("Test", "arrays", 5),
];

/// Topics slower than 1 Hz: component, beginning of the SAL name, seconds between samples.
const SLOW: [(&str, &str, u64); 2] = [("ATCamera", "focal_plane_", 10), ("ATCamera", "daq_monitor_", 5)];

/// Time between two samples of a telemetry topic; 1 s where nothing else is known.
pub fn period(component: &str, sal_name: &str) -> Duration {
    let fits = |row_component: &str, prefix: &str| row_component == component && sal_name.starts_with(prefix);
    if let Some((_, _, hertz)) = RATES.iter().find(|(component, prefix, _)| fits(component, prefix)) {
        return Duration::from_secs(1) / *hertz;
    }
    let slow = SLOW.iter().find(|(component, prefix, _)| fits(component, prefix));
    Duration::from_secs(slow.map_or(1, |(_, _, seconds)| *seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_fast_topics_and_narrow_slow_ones_have_their_own_rates() {
        assert_eq!(period("MTM1M3", "forceActuatorData"), Duration::from_millis(20));
        assert_eq!(period("ATCamera", "vacuum"), Duration::from_secs(1));
        assert_eq!(period("ATCamera", "focal_plane_Reb"), Duration::from_secs(10));
        assert_eq!(period("Test", "scalars"), Duration::from_millis(100));
        assert_eq!(period("Nobody", "knows"), Duration::from_secs(1));
    }
}
