//! Settings of the simulator.

use std::path::PathBuf;
use std::time::Duration;

use efd_service::ConfigError;
use serde::{Deserialize, Serialize};

/// What the factor on the rates may be.
const FACTORS: std::ops::RangeInclusive<f64> = 0.001..=1e6;
/// How late a late sample may be.
const MAX_LATE: Duration = Duration::from_secs(60);

/// The simulator: all topics of `components`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorConfig {
    /// Whether samples are made up at all. Default false.
    pub enabled: bool,
    /// Where the rates of the topics come from. Default `nominal`.
    pub profile: Profile,
    /// YAML file with rates of single topics or components, over those of the profile; see
    /// [`rates`](crate::simulator::rates).
    pub rates: Option<PathBuf>,
    /// Same seed, same values in the same order. Default 1.
    pub seed: u64,
    /// Factor on all rates, 0.001 to 1,000,000, or `max`: as fast as Kafka takes it. Default 1.
    pub rate: Rate,
    /// Length of what is simulated; then ingest ends. With a factor it is time of the clock; with `rate: max` it is
    /// the time that the same samples would take at the profile's rates. Without it the simulator goes on until
    /// it is stopped.
    #[serde(with = "humantime_serde")]
    pub duration: Option<Duration>,
    /// How far the simulator may be late and still catch up; what is beyond it is not made up for. Default 1 s.
    #[serde(with = "humantime_serde")]
    pub catch_up: Duration,
    /// JSON file that says at the end what was sent, per topic. Default: none is written.
    pub account: Option<PathBuf>,
    /// Bound on each list of sequence numbers in the account; beyond it only the counts are exact. Default 10,000.
    pub account_entries: usize,
    /// What is wrong on purpose. Default: nothing.
    pub inject: InjectConfig,
}

/// Where rates come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Rates of each topic as its component publishes it, where known; else one sample a second.
    #[default]
    Nominal,
    /// The mix of the Summit: 3,000 records and 250,000 values a second, 84 % of the bytes from MTM1M3.
    Summit,
}

/// How fast samples are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a number or max")]
pub enum Rate {
    /// So many times the rates of the profile.
    Factor(f64),
    /// As fast as they are taken.
    Unthrottled(Max),
}

/// The word for [`Rate::Unthrottled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Max {
    /// `max`
    Max,
}

/// What is injected into telemetry; each switch by itself, none changes the values or the order of anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InjectConfig {
    /// Samples in which one float is NaN.
    pub nan: Amount,
    /// Samples in which one float is infinite.
    pub infinity: Amount,
    /// Gaps of one to five sequence numbers that are never sent.
    pub gaps: Amount,
    /// Samples that are sent twice.
    pub duplicates: Amount,
    /// Samples that are held back and overtaken by later ones.
    pub late: Amount,
    /// How long, as time at the profile's rates. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub late_by: Duration,
    /// Records, in addition to the samples, whose bytes nobody can decode.
    pub undecodable: Amount,
    /// Telemetry topics, chosen by the seed, whose schema gets a further version with one more field.
    pub schema_changes: usize,
    /// When that happens, as time at the profile's rates. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub schema_change_after: Duration,
}

/// How often something is injected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a fraction such as 0.01, or {count: N}")]
pub enum Amount {
    /// This part of the samples, by chance; 0 is never, 1 always.
    Fraction(f64),
    /// So many in all, one in a hundred samples until they are used up.
    Count(Count),
}

/// A number of injections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// How many.
    pub count: u64,
}

impl Amount {
    /// Never.
    pub const NONE: Self = Self::Fraction(0.0);

    fn is_valid(self) -> bool {
        match self {
            Self::Fraction(fraction) => (0.0..=1.0).contains(&fraction),
            Self::Count(_) => true,
        }
    }
}

impl Rate {
    /// The factor on the rates; 1 without one.
    pub fn factor(self) -> f64 {
        match self {
            Self::Factor(factor) => factor,
            Self::Unthrottled(_) => 1.0,
        }
    }

    /// Whether samples do not wait until they are due.
    pub fn is_unthrottled(self) -> bool {
        matches!(self, Self::Unthrottled(_))
    }
}

impl SimulatorConfig {
    /// # Errors
    /// When a setting is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let inject = &self.inject;
        let fractions = [
            (inject.nan, "nan"),
            (inject.infinity, "infinity"),
            (inject.gaps, "gaps"),
            (inject.duplicates, "duplicates"),
            (inject.late, "late"),
            (inject.undecodable, "undecodable"),
        ];
        if let Some((_, name)) = fractions.iter().find(|(amount, _)| !amount.is_valid()) {
            return Err(ConfigError::invalid(format!("simulator.inject.{name}"), "must be between 0 and 1"));
        }
        let rules = [
            (FACTORS.contains(&self.rate.factor()), "simulator.rate", "must be between 0.001 and 1000000"),
            (inject.late_by <= MAX_LATE, "simulator.inject.late_by", "must not be longer than a minute"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, problem)) => Err(ConfigError::invalid(setting, problem)),
            None => Ok(()),
        }
    }
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            profile: Profile::Nominal,
            rates: None,
            seed: 1,
            rate: Rate::Factor(1.0),
            duration: None,
            catch_up: Duration::from_secs(1),
            account: None,
            account_entries: 10_000,
            inject: InjectConfig::default(),
        }
    }
}

impl Default for InjectConfig {
    fn default() -> Self {
        Self {
            nan: Amount::NONE,
            infinity: Amount::NONE,
            gaps: Amount::NONE,
            duplicates: Amount::NONE,
            late: Amount::NONE,
            late_by: Duration::from_secs(5),
            undecodable: Amount::NONE,
            schema_changes: 0,
            schema_change_after: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use efd_service::{Settings as _, parse};

    use super::*;
    use crate::config::Config;

    fn simulator(yaml: &str) -> Result<SimulatorConfig, ConfigError> {
        parse::<Config>(&format!("components: [Test]\nsimulator: {{{yaml}}}"), "test.yaml")
            .and_then(|config| config.check().map(|()| config.simulator))
    }

    #[test]
    fn a_rate_is_a_number_or_the_word_max() {
        assert_eq!(simulator("rate: 10").unwrap().rate, Rate::Factor(10.0));
        assert_eq!(simulator("rate: 0.5").unwrap().rate, Rate::Factor(0.5));
        assert!(simulator("rate: max").unwrap().rate.is_unthrottled());
        for wrong in ["rate: fast", "rate: 0", "rate: .nan", "rate: 1e9"] {
            let error = simulator(wrong).unwrap_err().to_string();
            assert!(error.contains("rate"), "{error}");
        }
    }

    #[test]
    fn an_amount_is_a_fraction_or_a_count() {
        let inject = simulator("inject: {nan: 0.25, gaps: {count: 7}, late: 1}").unwrap().inject;
        assert_eq!(inject.nan, Amount::Fraction(0.25));
        assert_eq!(inject.gaps, Amount::Count(Count { count: 7 }));
        assert_eq!((inject.late, inject.duplicates), (Amount::Fraction(1.0), Amount::NONE));
        for (wrong, named) in [
            ("inject: {late: 1.5}", "simulator.inject.late"),
            ("inject: {nan: -0.1}", "simulator.inject.nan"),
            ("inject: {gaps: {number: 7}}", "gaps"),
            ("inject: {gaps: often}", "gaps"),
            ("inject: {late_by: 2h}", "simulator.inject.late_by"),
        ] {
            let error = simulator(wrong).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
