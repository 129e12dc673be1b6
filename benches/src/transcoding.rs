//! How long a record takes to become a line, without Kafka; and in how many instructions, where the machine counts them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use efd_schema::{RecordSchema, avro};
use efd_sink::{MappingConfig, Plan};
use perf_event::events::Hardware;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::interfaces::WIDTHS;
use crate::room::Room;
use crate::row::{Goal, Row};

/// Nanoseconds per field that are allowed: doubles of 17 digits; integers and booleans.
const GOALS: [(Values, f64); 2] = [(Values::Doubles, 24.0), (Values::Whole, 5.0)];
/// Different records, so that no branch is always right.
const RECORDS: usize = 1_000;
/// Rounds, of which the best counts: noise only makes them slower.
const ROUNDS: usize = 100;

/// What the fields hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    /// Random doubles, the worst case.
    Doubles,
    /// States, counts and switches, half integers and half booleans.
    Whole,
}

/// Nanoseconds and instructions per field of each width and kind.
pub fn run(_: &Room) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (values, goal) in GOALS {
        for width in WIDTHS {
            let (nanos, instructions) = measure(values, width)?;
            let kind = if values == Values::Doubles { "random doubles" } else { "integers and booleans" };
            let case = format!("{width} fields, {kind}");
            rows.push(Row::new(case.clone(), "ns per field, best round", nanos).expected(Goal::AtMost(goal)));
            if let Some(instructions) = instructions {
                rows.push(Row::new(case, "instructions per field", instructions));
            }
        }
    }
    if rows.len() == GOALS.len() * WIDTHS.len() {
        crate::say("this machine counts no instructions");
    }
    Ok(rows)
}

fn measure(values: Values, width: usize) -> anyhow::Result<(f64, Option<f64>)> {
    let plan = Plan::compile(1, &RecordSchema::parse(&schema(values, width))?, &MappingConfig::default())?;
    let mut random = SmallRng::seed_from_u64(1);
    let bodies: Vec<Vec<u8>> = (0..RECORDS).map(|n| body(values, width, n, &mut random)).collect();
    let mut out = Vec::new();
    let mut counter = perf_event::Builder::new(Hardware::INSTRUCTIONS).build().and_then(|mut counter| {
        counter.enable()?;
        Ok(counter)
    });
    let (mut best, mut fewest) = (Duration::MAX, u64::MAX);
    for _ in 0..ROUNDS {
        out.clear();
        let before = counter.as_mut().ok().and_then(|counter| counter.read().ok());
        let start = Instant::now();
        for body in &bodies {
            efd_sink::append(&plan, body, &mut out)?;
        }
        best = best.min(start.elapsed());
        let after = counter.as_mut().ok().and_then(|counter| counter.read().ok());
        if let (Some(before), Some(after)) = (before, after) {
            fewest = fewest.min(after - before);
        }
        std::hint::black_box(&out);
    }
    let fields = (RECORDS * width) as f64;
    let instructions = (0 < fewest && fewest < u64::MAX).then_some(fewest as f64 / fields);
    Ok((best.as_secs_f64() * 1e9 / fields, instructions))
}

/// The time is one of the fields.
fn schema(values: Values, width: usize) -> String {
    let mut fields = String::from(r#"{"name":"private_efdStamp","type":"double"}"#);
    for number in 1..width {
        let ty = match values {
            Values::Doubles => "double",
            Values::Whole if number % 2 == 0 => "boolean",
            Values::Whole => "int",
        };
        // Writing to a string cannot fail.
        let _ = write!(fields, r#",{{"name":"measuredValue{number}","type":"{ty}"}}"#);
    }
    format!(r#"{{"type":"record","name":"lsst.sal.Bench.fields{width}","fields":[{fields}]}}"#)
}

fn body(values: Values, width: usize, number: usize, random: &mut SmallRng) -> Vec<u8> {
    let mut body = Vec::new();
    avro::put_double(&mut body, 1_700_000_000.123_456 + number as f64);
    for field in 1..width {
        match values {
            Values::Doubles => avro::put_double(&mut body, random.random_range(-1e3..1e3)),
            Values::Whole if field % 2 == 0 => avro::put_bool(&mut body, random.random()),
            Values::Whole => avro::put_int(&mut body, random.random_range(0..200)),
        }
    }
    body
}
