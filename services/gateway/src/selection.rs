//! What a selection of a request means: which stored columns of which measurement, and which rows.

use efd_proto::query::v1::{Condition, Selection};

use crate::condition;
use crate::config::QueryConfig;
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{Comparison, Filter, Literal};
use crate::layout::{FieldLayout, Layout};
use crate::topics::Topics;

/// The field with the index of a component.
const SAL_INDEX: &str = "salIndex";

/// Finds what selections mean.
#[derive(Debug, Clone)]
pub struct Selector {
    topics: Topics,
    influxdb: InfluxDb,
    config: QueryConfig,
}

/// What a selection means.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The topic, which is the measurement.
    pub topic: String,
    /// Its fields in the order of the answer.
    pub fields: Vec<FieldLayout>,
    /// Which rows; a group without comparisons holds for none.
    pub filter: Filter,
    /// Whether no row can be meant, because nothing was ever stored that could.
    pub is_void: bool,
    /// A stored column that has a value in every row, as far as the schema tells.
    pub witness: Option<String>,
}

impl Chosen {
    /// The stored columns of all fields, in order.
    pub fn columns(&self) -> Vec<String> {
        self.fields.iter().flat_map(FieldLayout::columns).collect()
    }
}

impl Selector {
    /// Over InfluxDB and the registry behind `topics`.
    pub fn new(topics: Topics, influxdb: InfluxDb, config: QueryConfig) -> Self {
        Self { topics, influxdb, config }
    }

    /// The meaning of all selections of a request, at least `least` of them.
    ///
    /// # Errors
    /// `InvalidArgument` when there are too few or too many, and as with [`Selector::choose`].
    pub async fn choose_all(
        &self,
        selections: Vec<Selection>,
        least: usize,
    ) -> Result<Vec<Chosen>, QueryError> {
        let (count, most) = (selections.len(), self.config.max_selections);
        if count < least || count > most {
            let problem = format!("{least} to {most} selections are needed, not {count}");
            return Err(QueryError::InvalidArgument(problem));
        }
        let mut chosen = Vec::with_capacity(count);
        for selection in selections {
            chosen.push(self.choose(selection).await?);
        }
        Ok(chosen)
    }

    /// The meaning of one selection.
    ///
    /// # Errors
    /// `UnknownTopic`, and `InvalidArgument` when a field is unknown or there are too many columns.
    pub async fn choose(&self, selection: Selection) -> Result<Chosen, QueryError> {
        self.choose_where(selection, &[]).await
    }

    /// The meaning of one selection of whose rows only those are wanted for which all conditions hold.
    ///
    /// # Errors
    /// As with [`Selector::choose`], and `InvalidArgument` when a condition can hold for no field.
    pub async fn choose_where(
        &self,
        selection: Selection,
        conditions: &[Condition],
    ) -> Result<Chosen, QueryError> {
        let Selection { topic, fields: names, sal_index } = selection;
        let mut layout = self.topics.find(&topic).await?.layout;
        let mut fields = layout.select(&names, &topic)?;
        let mut filter = Filter::default();
        let mut is_void = false;
        let needs_stored = sal_index.is_some() || !conditions.is_empty();
        if needs_stored || fields.iter().any(FieldLayout::lacks_length) {
            let stored = self.influxdb.field_keys(&topic).await?;
            layout.find_lengths(&stored);
            fields = layout.select(&names, &topic)?;
            if let Some(index) = sal_index {
                filter.groups.push(index_group(&topic, &layout, &stored, index)?);
            }
            for condition in conditions {
                let comparison = condition::comparison(condition, &layout, &topic)?;
                let is_stored = stored.contains(&comparison.column);
                filter.groups.push(is_stored.then_some(comparison).into_iter().collect());
            }
            is_void = filter.groups.iter().any(Vec::is_empty);
        }
        let columns: usize = fields.iter().map(|field| field.stored.len()).sum();
        self.check_columns(columns, &topic)?;
        Ok(Chosen { topic, fields, filter, is_void, witness: layout.witness() })
    }

    /// # Errors
    /// `InvalidArgument` when these are more columns than a query may have of a topic.
    pub fn check_columns(&self, columns: usize, topic: &str) -> Result<(), QueryError> {
        if columns > self.config.max_columns {
            return Err(QueryError::InvalidArgument(format!(
                "{columns} columns of topic {topic} are more than query.max_columns ({}); name fewer fields",
                self.config.max_columns
            )));
        }
        Ok(())
    }
}

/// Names of the fields that may have the index of a topic's component: today's, and that of before 2022.
pub fn index_names(topic: &str) -> Vec<String> {
    let old = topic.split('.').nth(2).map(|component| format!("{component}ID"));
    std::iter::once(SAL_INDEX.to_owned()).chain(old).collect()
}

/// That a row is of this index of its component, in today's field or in that of before 2022; empty when neither was stored yet.
fn index_group(
    topic: &str,
    layout: &Layout,
    stored: &[String],
    index: i64,
) -> Result<Vec<Comparison>, QueryError> {
    let names = index_names(topic);
    let is_index = |name: &str| names.iter().any(|known| known == name);
    let columns: Vec<&String> = stored.iter().filter(|name| is_index(name)).collect();
    if columns.is_empty() && !layout.fields().any(|field| is_index(&field.name)) {
        return Err(QueryError::InvalidArgument(format!(
            "topic {topic} has no field {SAL_INDEX}, since there is only one of its component; ask without sal_index"
        )));
    }
    if index == i64::MIN {
        return Err(QueryError::InvalidArgument(format!("sal_index {index} is no index")));
    }
    let compare =
        |column: &String| Comparison { column: column.clone(), operator: "=", value: Literal::Long(index) };
    Ok(columns.into_iter().map(compare).collect())
}
