//! Values that look like measurements: slow sines with noise, counters, flags, words. Pure, and the same for a seed.

use std::f64::consts::TAU;
use std::time::Duration;

use efd_sal::{Field, FieldType, Topic, Value};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

/// Words a string field goes through.
const WORDS: [&str; 4] = ["nominal", "settling", "moving", "holding"];
/// Time a string keeps its word, and an integer with names its value, in seconds.
const WORD_SECONDS: f64 = 30.0;
/// Integers keep within 10 to 110: no type of an interface, signed or not, is narrower than that.
const INTEGER: (f64, f64) = (60.0, 50.0);
/// Beginning of a unit, mean and amplitude of what is measured in it.
const UNITS: [(&str, f64, f64); 17] = [
    ("Celsius", 18.0, 4.0),
    ("mA", 400.0, 80.0),
    ("mm", 20.0, 5.0),
    ("%", 45.0, 15.0),
    ("Hz", 50.0, 0.5),
    ("deg_C", 18.0, 4.0),
    ("deg", 45.0, 20.0),
    ("N m", 0.0, 300.0),
    ("N", 0.0, 800.0),
    ("kPa", 600.0, 60.0),
    ("Pa", 75_000.0, 500.0),
    ("Torr", 2e-6, 5e-7),
    ("V", 24.0, 1.5),
    ("A", 6.0, 2.0),
    ("W", 150.0, 30.0),
    ("m/s", 0.0, 2.0),
    ("s", 0.01, 0.002),
];

/// The signals of all fields of one topic.
#[derive(Debug)]
pub struct Signals {
    fields: Vec<FieldSignal>,
    noise: SmallRng,
}

#[derive(Debug)]
struct FieldSignal {
    ty: FieldType,
    count: usize,
    shape: Shape,
    /// The integers that have a name, where the interface names any.
    choices: Vec<i64>,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// The time of the sample.
    Time,
    /// The number of the sample.
    Counter,
    /// Always 0: what SAL sends where nothing is set.
    Zero,
    /// One of the integers that have a name, each for a while; which is the first.
    Choice(usize),
    /// A sine along time and along the elements of an array.
    Wave(Wave),
}

#[derive(Debug, Clone, Copy)]
struct Wave {
    mean: f64,
    amplitude: f64,
    noise: f64,
    turns_per_second: f64,
    phase: f64,
    /// Angle from one element to the next, as sine and cosine.
    step: (f64, f64),
}

/// Which sample it is.
#[derive(Debug, Clone, Copy)]
pub struct Tick {
    /// How many samples of the topic came before.
    pub number: u64,
    /// Time since the start at the nominal rate.
    pub since_start: Duration,
    /// TAI, Unix seconds; what fields named `timestamp…` say.
    pub tai: f64,
}

impl Signals {
    /// The signals of a topic; they follow from the seed and the names.
    pub fn new(seed: u64, topic: &Topic) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ fingerprint(&topic.measurement()));
        let fields = topic.fields.iter().filter(|field| !field.is_private);
        let fields = fields.map(|field| FieldSignal::new(field, &mut rng)).collect();
        Self { fields, noise: rng }
    }

    /// One value per field that is not private.
    pub fn values(&mut self, tick: Tick) -> Vec<Value> {
        let noise = &mut self.noise;
        self.fields.iter().map(|field| field.value(tick, noise)).collect()
    }
}

impl FieldSignal {
    fn new(field: &Field, rng: &mut SmallRng) -> Self {
        let is_integer = matches!(field.ty, FieldType::Int | FieldType::Long);
        let choices = if is_integer { choices(field) } else { Vec::new() };
        let is_counter = ["Counter", "equenceNumber"].iter().any(|part| field.name.contains(part));
        let shape = match field.ty {
            FieldType::Double if field.name.to_lowercase().contains("timestamp") => Shape::Time,
            _ if !choices.is_empty() => Shape::Choice(rng.random_range(0..choices.len())),
            _ if is_integer && is_counter => Shape::Counter,
            // The only field of every heartbeat; nobody uses it.
            FieldType::Boolean if field.name == "heartbeat" => Shape::Zero,
            _ => Shape::Wave(Wave::new(field, is_integer, rng)),
        };
        Self { ty: field.ty, count: field.count, shape, choices }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "waves of integers are small, and a float field holds no more than a float"
    )]
    fn value(&self, tick: Tick, noise: &mut SmallRng) -> Value {
        let wave = match self.shape {
            Shape::Time => Wave::constant(tick.tai),
            // Wraps like the 16-bit counters it stands for.
            Shape::Counter => Wave::constant((tick.number % 0x8000) as f64),
            Shape::Zero => Wave::constant(0.0),
            Shape::Choice(first) => {
                let choice = self.choices.iter().cycle().nth(first + turn(tick, self.choices.len()));
                Wave::constant(choice.copied().unwrap_or_default() as f64)
            }
            Shape::Wave(wave) => wave,
        };
        let mut elements = wave.elements(tick.since_start, noise);
        if self.count == 1 {
            let value = elements.next().unwrap_or_default();
            return match self.ty {
                FieldType::Boolean => Value::Boolean(value > 0.0),
                FieldType::Int => Value::Int(value as i32),
                FieldType::Long => Value::Long(value as i64),
                FieldType::Float => Value::Float(value as f32),
                FieldType::Double => Value::Double(value),
                FieldType::String => word(tick),
            };
        }
        let elements = elements.take(self.count);
        match self.ty {
            FieldType::Boolean => Value::Booleans(elements.map(|value| value > 0.0).collect()),
            FieldType::Int => Value::Ints(elements.map(|value| value as i32).collect()),
            FieldType::Long => Value::Longs(elements.map(|value| value as i64).collect()),
            FieldType::Float => Value::Floats(elements.map(|value| value as f32).collect()),
            FieldType::Double => Value::Doubles(elements.collect()),
            FieldType::String => word(tick),
        }
    }
}

impl Wave {
    fn new(field: &Field, is_integer: bool, rng: &mut SmallRng) -> Self {
        let (mean, amplitude) = match field.ty {
            FieldType::Boolean => (0.0, 1.0),
            _ if is_integer => INTEGER,
            _ => UNITS
                .iter()
                .find(|(unit, ..)| field.units.starts_with(unit))
                .map_or((0.0, 1.0), |(_, mean, amplitude)| (*mean, *amplitude)),
        };
        let step = rng.random_range(0.02..0.2_f64);
        Self {
            mean,
            amplitude: amplitude * rng.random_range(0.5..0.95),
            noise: amplitude * 0.02,
            turns_per_second: 1.0 / rng.random_range(20.0..120.0),
            phase: rng.random_range(0.0..TAU),
            step: step.sin_cos(),
        }
    }

    fn constant(value: f64) -> Self {
        Self { mean: value, amplitude: 0.0, noise: 0.0, turns_per_second: 0.0, phase: 0.0, step: (0.0, 1.0) }
    }

    /// The elements of an array, without end; the first is the value of a scalar.
    fn elements(self, since_start: Duration, noise: &mut SmallRng) -> impl Iterator<Item = f64> {
        let angle = TAU * (self.turns_per_second * since_start.as_secs_f64()).fract() + self.phase;
        let (mut sine, mut cosine) = angle.sin_cos();
        let (step_sine, step_cosine) = self.step;
        std::iter::repeat_with(move || {
            let value = self.mean + self.amplitude * sine + self.noise * unit_noise(noise);
            // The next element by the addition theorem, far cheaper than a sine of its own.
            (sine, cosine) =
                (sine * step_cosine + cosine * step_sine, cosine * step_cosine - sine * step_sine);
            value
        })
    }
}

/// Evenly spread over -1 to 1.
#[expect(clippy::cast_possible_wrap, reason = "the wrap gives the sign")]
fn unit_noise(rng: &mut SmallRng) -> f64 {
    f64::from(rng.next_u32() as i32) / f64::from(1_u32 << 31)
}

fn word(tick: Tick) -> Value {
    let word = WORDS.get(turn(tick, WORDS.len())).copied();
    Value::String(word.unwrap_or_default().to_owned())
}

/// Which of `count` values that take turns it is the turn of.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds since the start are small and positive"
)]
fn turn(tick: Tick, count: usize) -> usize {
    (tick.since_start.as_secs_f64() / WORD_SECONDS) as usize % count.max(1)
}

/// The integers of a field that have a name and fit its type.
fn choices(field: &Field) -> Vec<i64> {
    let fits = |value: &i64| field.range.as_ref().is_none_or(|range| range.contains(value));
    field.enumeration.iter().map(|item| item.value).filter(fits).collect()
}

/// A number for a name that no build changes (FNV-1a).
fn fingerprint(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn tick(number: u64) -> Tick {
        Tick { number, since_start: Duration::from_millis(number * 20), tai: 1.7e9 + number as f64 * 0.02 }
    }

    #[test]
    fn the_same_seed_gives_the_same_values_and_another_seed_others() {
        let series = |seed| {
            let mut signals = Signals::new(seed, &testing::arrays());
            (0..50).map(|number| signals.values(tick(number))).collect::<Vec<_>>()
        };
        assert_eq!(series(1), series(1));
        assert_ne!(series(1), series(2));
    }

    #[test]
    fn every_value_fits_its_field_and_integers_stay_small_and_positive() {
        for topic in [testing::arrays(), testing::scalars()] {
            let mut signals = Signals::new(3, &topic);
            for number in (0..20_000).step_by(37) {
                for value in signals.values(tick(number)) {
                    let integers: Vec<i64> = match value {
                        Value::Int(value) => vec![value.into()],
                        Value::Long(value) => vec![value],
                        Value::Ints(values) => values.into_iter().map(i64::from).collect(),
                        Value::Longs(values) => values,
                        _ => continue,
                    };
                    assert!(integers.iter().all(|value| (0..=127).contains(value)), "{integers:?}");
                }
            }
        }
    }

    #[test]
    fn neighbouring_samples_are_close_as_in_a_signal() {
        let force = Field { units: "N".into(), ..testing::field("force", FieldType::Double, 156) };
        let topic = testing::topic("MTM1M3", "forces", vec![force]);
        let mut signals = Signals::new(1, &topic);
        let mut last: Option<Vec<f64>> = None;
        for number in 0..500 {
            let Some(Value::Doubles(values)) = signals.values(tick(number)).pop() else {
                panic!("no doubles")
            };
            for (value, before) in values.iter().zip(last.iter().flatten()) {
                assert!((value - before).abs() < 0.1 * 800.0, "{before} then {value}");
            }
            last = Some(values);
        }
    }

    #[test]
    fn an_integer_with_names_takes_the_values_that_have_one() {
        let item = |value| efd_sal::EnumItem { name: format!("STATE{value}"), value };
        let mut state = testing::field("state", FieldType::Int, 1);
        state.enumeration = vec![item(3), item(-7), item(1 << 40)];
        let mut signals = Signals::new(1, &testing::topic("MTM1M3", "logevent_state", vec![state]));
        let mut seen: Vec<Value> = (0..10_000).flat_map(|number| signals.values(tick(number))).collect();
        seen.dedup();
        assert!(seen.len() > 5, "it changes now and then: {seen:?}");
        assert!(seen.iter().all(|value| [Value::Int(3), Value::Int(-7)].contains(value)), "{seen:?}");
    }

    #[test]
    fn timestamps_are_the_time_and_counters_count() {
        let fields = vec![
            testing::field("timestamp", FieldType::Double, 1),
            testing::field("broadcastCounter", FieldType::Int, 1),
        ];
        let mut signals = Signals::new(1, &testing::topic("MTM1M3", "outerLoopData", fields));
        let expected = vec![Value::Double(tick(40_000).tai), Value::Int(40_000 % 0x8000)];
        assert_eq!(signals.values(tick(40_000)), expected);
    }
}
