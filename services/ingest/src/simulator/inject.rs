//! What is wrong on purpose with the simulated telemetry, and when. Pure.
//!
//! Each switch draws from random numbers of its own, so that turning one on changes nothing that another does, nor any
//! value or time of a sample.

use std::ops::RangeInclusive;
use std::time::Duration;

use efd_sal::Value;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::damage::Damage;
use crate::simulator::made::NotFinite;
use crate::simulator::settings::{Amount, InjectConfig};

/// How often one of a number of injections happens, until they are used up.
const COUNTED: f64 = 0.01;
/// Sequence numbers that a gap skips.
const GAP: RangeInclusive<u32> = 1..=5;

/// All switches.
#[derive(Debug)]
pub struct Injector {
    nan: Switch,
    infinity: Switch,
    gap: Switch,
    duplicate: Switch,
    late: Switch,
    undecodable: Switch,
    late_by: Duration,
}

/// Whether something happens to a sample.
#[derive(Debug)]
struct Switch {
    chance: f64,
    left: u64,
    rng: SmallRng,
}

impl Injector {
    /// The switches as the settings say, with random numbers that follow from the seed.
    pub fn new(seed: u64, settings: &InjectConfig) -> Self {
        // Any numbers do that no other part of the simulator takes.
        let switch =
            |number: u64, amount| Switch::new(amount, seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self {
            nan: switch(1, settings.nan),
            infinity: switch(2, settings.infinity),
            gap: switch(3, settings.gaps),
            duplicate: switch(4, settings.duplicates),
            late: switch(5, settings.late),
            undecodable: switch(6, settings.undecodable),
            late_by: settings.late_by,
        }
    }

    /// Sequence numbers to skip before the next sample.
    pub fn gap(&mut self) -> u32 {
        if self.gap.happens() { self.gap.rng.random_range(GAP) } else { 0 }
    }

    /// Puts NaN or infinity in the place of one float; never both into one sample.
    pub fn spoil(&mut self, values: &mut [Value]) -> Option<NotFinite> {
        let floats = values.iter().filter(|value| is_float(value)).count();
        if floats == 0 {
            return None;
        }
        let (switch, number, not_finite) = if self.nan.happens() {
            (&mut self.nan, f64::NAN, NotFinite::Nan)
        } else if self.infinity.happens() {
            let infinity = if self.infinity.rng.random() { f64::INFINITY } else { f64::NEG_INFINITY };
            (&mut self.infinity, infinity, NotFinite::Infinity)
        } else {
            return None;
        };
        let place = switch.rng.random_range(0..floats);
        let element: f64 = switch.rng.random();
        let value = values.iter_mut().filter(|value| is_float(value)).nth(place)?;
        replace(value, element, number);
        Some(not_finite)
    }

    /// Whether the sample is sent once more.
    pub fn is_duplicated(&mut self) -> bool {
        self.duplicate.happens()
    }

    /// How long the sample is held back, if it is.
    pub fn delay(&mut self) -> Option<Duration> {
        self.late.happens().then_some(self.late_by)
    }

    /// Whether an undecodable record follows, and what is wrong with it.
    pub fn damage(&mut self) -> Option<Damage> {
        if !self.undecodable.happens() {
            return None;
        }
        let place = self.undecodable.rng.random_range(0..Damage::ALL.len());
        Damage::ALL.get(place).copied()
    }
}

impl Switch {
    fn new(amount: Amount, seed: u64) -> Self {
        let (chance, left) = match amount {
            Amount::Fraction(fraction) => (fraction.clamp(0.0, 1.0), u64::MAX),
            Amount::Count(count) => (COUNTED, count.count),
        };
        Self { chance, left, rng: SmallRng::seed_from_u64(seed) }
    }

    fn happens(&mut self) -> bool {
        if self.left == 0 || self.chance == 0.0 || !self.rng.random_bool(self.chance) {
            return false;
        }
        self.left -= 1;
        true
    }
}

fn is_float(value: &Value) -> bool {
    matches!(value, Value::Float(_) | Value::Double(_) | Value::Floats(_) | Value::Doubles(_))
}

/// Replaces a float, or the element of an array that lies so far in it (0 to 1).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "NaN and infinities stay what they are, and a place in an array is small and positive"
)]
fn replace(value: &mut Value, element: f64, number: f64) {
    let place = |length: usize| (element * length as f64) as usize;
    match value {
        Value::Float(value) => *value = number as f32,
        Value::Double(value) => *value = number,
        Value::Floats(values) => {
            let place = place(values.len());
            values.iter_mut().skip(place).take(1).for_each(|value| *value = number as f32);
        }
        Value::Doubles(values) => {
            let place = place(values.len());
            values.iter_mut().skip(place).take(1).for_each(|value| *value = number);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::settings::Count;

    fn values() -> Vec<Value> {
        vec![Value::Int(1), Value::Float(1.0), Value::Doubles(vec![1.0; 5]), Value::Double(1.0)]
    }

    fn not_finite(values: &[Value]) -> usize {
        let count = |value: &Value| match value {
            Value::Float(value) => usize::from(!value.is_finite()),
            Value::Double(value) => usize::from(!value.is_finite()),
            Value::Doubles(values) => values.iter().filter(|value| !value.is_finite()).count(),
            _ => 0,
        };
        values.iter().map(count).sum()
    }

    #[test]
    fn nothing_happens_by_default() {
        let mut injector = Injector::new(1, &InjectConfig::default());
        for _ in 0..1000 {
            let mut spoiled = values();
            assert_eq!((injector.spoil(&mut spoiled), injector.gap()), (None, 0));
            assert_eq!((injector.delay(), injector.damage()), (None, None));
            assert!(!injector.is_duplicated());
            assert_eq!(spoiled, values());
        }
    }

    #[test]
    fn a_spoiled_sample_has_exactly_one_float_that_is_no_number() {
        let settings = InjectConfig {
            nan: Amount::Fraction(0.5),
            infinity: Amount::Fraction(1.0),
            ..InjectConfig::default()
        };
        let mut injector = Injector::new(1, &settings);
        let mut nans = 0;
        for _ in 0..1000 {
            let mut spoiled = values();
            nans += u32::from(injector.spoil(&mut spoiled) == Some(NotFinite::Nan));
            assert_eq!(not_finite(&spoiled), 1);
        }
        assert!((400..600).contains(&nans), "{nans}");
        assert_eq!(injector.spoil(&mut [Value::Int(1), Value::String("x".into())]), None);
    }

    #[test]
    fn a_number_of_injections_is_used_up_and_a_fraction_is_not() {
        let settings = InjectConfig {
            gaps: Amount::Count(Count { count: 7 }),
            late: Amount::Fraction(0.1),
            ..InjectConfig::default()
        };
        let mut injector = Injector::new(3, &settings);
        let gaps: Vec<u32> = (0..10_000).map(|_| injector.gap()).filter(|length| *length > 0).collect();
        assert_eq!(gaps.len(), 7);
        assert!(gaps.iter().all(|length| GAP.contains(length)), "{gaps:?}");
        let late = (0..10_000).filter(|_| injector.delay().is_some()).count();
        assert!((900..1100).contains(&late), "{late}");
    }

    #[test]
    fn a_switch_does_what_it_does_whatever_the_others_are() {
        let alone = InjectConfig { duplicates: Amount::Fraction(0.3), ..InjectConfig::default() };
        let together =
            InjectConfig { nan: Amount::Fraction(0.3), undecodable: Amount::Fraction(0.3), ..alone.clone() };
        let duplicates = |settings: &InjectConfig| {
            let mut injector = Injector::new(5, settings);
            let one = |_| {
                injector.spoil(&mut values());
                injector.damage();
                injector.is_duplicated()
            };
            (0..200).map(one).collect::<Vec<bool>>()
        };
        assert_eq!(duplicates(&alone), duplicates(&together));
    }
}
