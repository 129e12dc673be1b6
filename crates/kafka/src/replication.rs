//! How many replicas a new topic has.

use efd_service::{ConfigError, Env};
use serde::{Deserialize, Serialize};

/// Setting `replication_factor`: `EFD_KAFKA_REPLICATION_FACTOR` overrides it, `LSST_KAFKA_REPLICATION_FACTOR` fills in,
/// else it is 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicationFactor(Option<i32>);

impl ReplicationFactor {
    /// The number.
    pub fn get(self) -> i32 {
        self.0.unwrap_or(1)
    }

    /// Lets the environment override or fill in.
    ///
    /// # Errors
    /// When a variable is no whole number.
    pub fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        if let Some(factor) = env.parsed("EFD_KAFKA_REPLICATION_FACTOR")? {
            self.0 = Some(factor);
        } else if self.0.is_none() {
            self.0 = env.parsed("LSST_KAFKA_REPLICATION_FACTOR")?;
        }
        Ok(())
    }

    /// Refuses a number that no topic can have.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(self) -> Result<(), ConfigError> {
        if self.get() < 1 {
            return Err(ConfigError::invalid("replication_factor", "must be at least 1"));
        }
        Ok(())
    }
}

impl From<i32> for ReplicationFactor {
    fn from(factor: i32) -> Self {
        Self(Some(factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lsst_only_fills_in_and_what_is_no_number_of_replicas_is_refused() {
        let overlaid = |mut factor: ReplicationFactor, pairs: &[(&str, &str)]| {
            factor.overlay(&Env::from_pairs(pairs.iter().copied())).map(|()| factor)
        };
        let lsst = ("LSST_KAFKA_REPLICATION_FACTOR", "3");
        assert_eq!(ReplicationFactor::default().get(), 1);
        assert_eq!(overlaid(ReplicationFactor::default(), &[lsst]).unwrap().get(), 3);
        assert_eq!(overlaid(2.into(), &[lsst]).unwrap().get(), 2);
        assert_eq!(overlaid(2.into(), &[lsst, ("EFD_KAFKA_REPLICATION_FACTOR", "4")]).unwrap().get(), 4);
        let error = overlaid(ReplicationFactor::default(), &[("LSST_KAFKA_REPLICATION_FACTOR", "x")]);
        assert!(error.unwrap_err().to_string().contains("LSST_KAFKA_REPLICATION_FACTOR"));
        ReplicationFactor::from(0).check().unwrap_err();
    }
}
