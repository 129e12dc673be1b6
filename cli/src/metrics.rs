//! Reads the Prometheus text of a service's admin port.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use efd_service::http::Client;

/// Bound on one scrape.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The samples of one scrape.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Asks `<admin>/metrics`.
    ///
    /// # Errors
    /// When the service does not answer with 200.
    pub async fn scrape(client: &Client, admin: &str) -> anyhow::Result<Self> {
        let url = format!("{}/metrics", admin.trim_end_matches('/'));
        let answer = client.send(http::Request::get(&url).body(Bytes::new())?, TIMEOUT).await?;
        if !answer.status().is_success() {
            bail!("{url} answered {}", answer.status());
        }
        Ok(Self::parse(std::str::from_utf8(answer.body()).context("metrics are not UTF-8")?))
    }

    /// Reads the text format; lines that are no samples are passed over.
    pub fn parse(text: &str) -> Self {
        Self { samples: text.lines().filter_map(sample).collect() }
    }

    /// Sum of all samples of a name whose labels include `labels`.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// Whether there is any sample of this name with these labels.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// Values of one label over all samples of a name.
    pub fn label_values(&self, name: &str, label: &str) -> Vec<String> {
        let mut values: Vec<String> =
            self.matching(name, &[]).filter_map(|sample| sample.labels.get(label).cloned()).collect();
        values.sort();
        values.dedup();
        values
    }

    /// What counters and histograms have gained since an earlier scrape of the same process.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        for sample in &mut self.samples {
            let is_same = |other: &&Sample| other.name == sample.name && other.labels == sample.labels;
            sample.value -= earlier.samples.iter().find(is_same).map_or(0.0, |other| other.value);
        }
        self
    }

    /// The `q` quantile (0 to 1) of a histogram, by linear interpolation inside its bucket as Prometheus does it;
    /// none when nothing was observed.
    pub fn quantile(&self, name: &str, labels: &[(&str, &str)], q: f64) -> Option<f64> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.matching(&format!("{name}_bucket"), labels) {
            let upper = match sample.labels.get("le")?.as_str() {
                "+Inf" => f64::INFINITY,
                text => text.parse().ok()?,
            };
            match buckets
                .iter_mut()
                .find(|(known, _)| *known == upper || (known.is_infinite() && upper.is_infinite()))
            {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((upper, sample.value)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total = buckets.last()?.1;
        if total <= 0.0 {
            return None;
        }
        let rank = q * total;
        let mut below = (0.0, 0.0);
        for (upper, count) in buckets {
            if count >= rank {
                if upper.is_infinite() {
                    return Some(below.0);
                }
                let share = if count > below.1 { (rank - below.1) / (count - below.1) } else { 1.0 };
                return Some(below.0 + (upper - below.0) * share);
            }
            below = (upper, count);
        }
        None
    }

    fn matching<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|has| has == value))
        })
    }
}

fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.trim().rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: BTreeMap::new(), value });
    };
    let mut parsed = BTreeMap::new();
    // Label values of EFD's metrics are names: they hold neither commas nor quotes.
    for pair in labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty()) {
        let (label, value) = pair.split_once('=')?;
        parsed.insert(label.to_owned(), value.trim_matches('"').to_owned());
    }
    Some(Sample { name: name.to_owned(), labels: parsed, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP x y\n# TYPE x counter\nx_total{component=\"A\",destination=\"d\"} 3\nx_total{component=\"B\"} 4\ny 1.5\n\
        l_seconds_bucket{component=\"A\",le=\"0.01\"} 50\nl_seconds_bucket{component=\"A\",le=\"0.1\"} 90\nl_seconds_bucket{component=\"A\",le=\"+Inf\"} 100\n";

    #[test]
    fn what_came_since_is_less_what_was_there() {
        let earlier = Metrics::parse("x_total{component=\"A\",destination=\"d\"} 2\ny 1.5\n");
        let gained = Metrics::parse(TEXT).since(&earlier);
        assert_eq!(gained.sum("x_total", &[]), 5.0);
        assert_eq!(gained.sum("y", &[]), 0.0);
        assert_eq!(gained.quantile("l_seconds", &[], 0.5), Some(0.01));
    }

    #[test]
    fn samples_are_summed_by_label() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.sum("x_total", &[]), 7.0);
        assert_eq!(metrics.sum("x_total", &[("component", "A")]), 3.0);
        assert_eq!(metrics.sum("y", &[]), 1.5);
        assert!(!metrics.has("z", &[]));
        assert_eq!(metrics.label_values("x_total", "component"), ["A", "B"]);
    }

    #[test]
    fn quantiles_are_interpolated() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.quantile("l_seconds", &[("component", "A")], 0.5), Some(0.01));
        let p70 = metrics.quantile("l_seconds", &[], 0.7).unwrap();
        assert!((p70 - 0.055).abs() < 1e-9, "{p70}");
        assert_eq!(metrics.quantile("l_seconds", &[], 0.99), Some(0.1));
        assert_eq!(metrics.quantile("l_seconds", &[("component", "C")], 0.5), None);
    }
}
