//! Everything that InfluxDB holds of SAL, row by row and field by field.

use std::collections::HashMap;

use anyhow::Context as _;
use efd::influxdb::{InfluxDbClient, InfluxDbConfig, Series};
use serde_json::Value;

use crate::oracle::{FieldValue, Row};

/// Values that one answer holds at most, so that neither side needs much memory.
const PAGE: usize = 400_000;

/// Types of the fields of a measurement, by name, as InfluxDB tells them.
type Types = HashMap<String, String>;

/// Gives every row of every measurement whose name begins with `lsst.sal.`: measurement, Unix nanoseconds, fields.
///
/// # Errors
/// When InfluxDB does not answer, or holds a field in two types.
pub async fn for_each_row(
    config: &InfluxDbConfig,
    mut take: impl FnMut(&str, i64, Row),
) -> anyhow::Result<()> {
    let client = InfluxDbClient::new(config)?;
    for (measurement, types) in types(&client).await? {
        // Every page begins behind the last row of the one before.
        let (mut last, limit) = (0, (PAGE / (types.len() + 1)).max(1));
        loop {
            let question = format!("SELECT * FROM \"{measurement}\" WHERE time > {last} LIMIT {limit}");
            let page = client.query(&question).await.with_context(|| measurement.clone())?;
            let Some(series) = page.first() else { break };
            for values in &series.values {
                let (nanos, row) = row(series, values, &types)?;
                take(&measurement, nanos, row);
                last = nanos;
            }
            if series.values.len() < limit {
                break;
            }
        }
    }
    Ok(())
}

async fn types(client: &InfluxDbClient) -> anyhow::Result<Vec<(String, Types)>> {
    let mut all = Vec::new();
    for series in client.query("SHOW FIELD KEYS FROM /^lsst\\.sal\\./").await? {
        let mut types = Types::new();
        for key in &series.values {
            let [Value::String(name), Value::String(kind)] = key.as_slice() else { continue };
            let other = types.insert(name.clone(), kind.clone());
            anyhow::ensure!(other.is_none(), "{}.{name} has two types, {other:?} and {kind}", series.name);
        }
        all.push((series.name, types));
    }
    Ok(all)
}

fn row(series: &Series, values: &[Value], types: &Types) -> anyhow::Result<(i64, Row)> {
    let mut row = Row::default();
    let mut nanos = None;
    for (name, value) in series.columns.iter().zip(values) {
        if name == "time" {
            nanos = value.as_i64();
            continue;
        }
        let kind = types.get(name).map(String::as_str);
        let field = match (value, kind) {
            (Value::Null, _) => continue,
            (Value::Bool(value), _) => FieldValue::Boolean(*value),
            (Value::String(value), _) => FieldValue::Text(value),
            (Value::Number(number), Some("integer")) => {
                FieldValue::Integer(number.as_i64().with_context(|| format!("{name} is {number}"))?)
            }
            (Value::Number(number), Some("float")) => {
                FieldValue::Float(number.as_f64().with_context(|| format!("{name} is {number}"))?)
            }
            other => anyhow::bail!("{}.{name} is {other:?}", series.name),
        };
        row.add(name, field);
    }
    Ok((nanos.context("a row has a time")?, row))
}
