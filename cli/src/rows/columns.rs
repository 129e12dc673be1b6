//! Columns of the gateway's answer to one value for each row and field.

use anyhow::{Context as _, bail};
use efd_proto::query::v1::column::Values;
use efd_proto::query::v1::{Column, Field};
use serde_json::Value;

/// The values of one field in one batch, by row.
#[derive(Debug)]
pub struct FieldValues<'a> {
    column: &'a Column,
    /// Elements of an array; none for a scalar.
    length: Option<usize>,
}

impl<'a> FieldValues<'a> {
    /// Pairs a column with its field.
    ///
    /// # Errors
    /// When it does not have the values for `rows` rows.
    pub fn new(field: &Field, column: &'a Column, rows: usize) -> anyhow::Result<Self> {
        let length = field.array_length.map(|length| length as usize);
        let expected = rows * length.unwrap_or(1);
        let has = match column.values.as_ref().with_context(|| format!("column {} is empty", field.name))? {
            Values::Doubles(values) => values.values.len(),
            Values::Longs(values) => values.values.len(),
            Values::Booleans(values) => values.values.len(),
            Values::Strings(values) => values.values.len(),
        };
        if has != expected {
            bail!(
                "column {} has {has} values instead of {expected}: gateway and efd differ in version",
                field.name
            );
        }
        Ok(Self { column, length })
    }

    /// The value of a row: a scalar, or an array; what was not recorded is null.
    pub fn value(&self, row: usize) -> Value {
        match self.length {
            None => self.scalar(row),
            Some(length) => (row * length..(row + 1) * length).map(|place| self.scalar(place)).collect(),
        }
    }

    /// Numbers of a row, one for each element, a scalar has one; a boolean is 0 or 1, a text its place in `symbols`.
    pub fn numbers(&self, row: usize, symbols: &'a [String]) -> impl Iterator<Item = Option<f64>> {
        let length = self.length.unwrap_or(1);
        (row * length..(row + 1) * length).map(|place| self.number(place, symbols))
    }

    fn number(&self, place: usize, symbols: &[String]) -> Option<f64> {
        if !self.is_valid(place) {
            return None;
        }
        match self.column.values.as_ref()? {
            Values::Doubles(values) => values.values.get(place).copied(),
            Values::Longs(values) => values.values.get(place).map(|value| *value as f64),
            Values::Booleans(values) => values.values.get(place).map(|value| f64::from(u8::from(*value))),
            Values::Strings(values) => {
                let text = values.values.get(place)?;
                symbols.iter().position(|symbol| symbol == text).map(|place| place as f64)
            }
        }
    }

    fn scalar(&self, place: usize) -> Value {
        if !self.is_valid(place) {
            return Value::Null;
        }
        let value = match &self.column.values {
            Some(Values::Doubles(values)) => values.values.get(place).map(|value| Value::from(*value)),
            Some(Values::Longs(values)) => values.values.get(place).map(|value| Value::from(*value)),
            Some(Values::Booleans(values)) => values.values.get(place).map(|value| Value::from(*value)),
            Some(Values::Strings(values)) => {
                values.values.get(place).map(|value| Value::from(value.as_str()))
            }
            None => None,
        };
        value.unwrap_or(Value::Null)
    }

    fn is_valid(&self, place: usize) -> bool {
        let validity = &self.column.validity;
        validity.is_empty() || validity.get(place / 8).is_some_and(|byte| byte & (1 << (place % 8)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use efd_proto::query::v1::{Doubles, Longs};
    use serde_json::json;

    use super::*;

    #[test]
    fn arrays_are_cut_by_row_and_gaps_are_null() {
        let field = Field { name: "a".into(), array_length: Some(2), ..Field::default() };
        let values = Values::Doubles(Doubles { values: vec![0.5, 1.0, 0.0, 2.0] });
        let column = Column { values: Some(values), validity: vec![0b1011] };
        let field_values = FieldValues::new(&field, &column, 2).unwrap();
        assert_eq!(field_values.value(0), json!([0.5, 1.0]));
        assert_eq!(field_values.value(1), json!([null, 2.0]));
    }

    #[test]
    fn a_column_of_the_wrong_length_is_refused() {
        let field = Field { name: "a".into(), ..Field::default() };
        let column = Column { values: Some(Values::Longs(Longs { values: vec![1] })), validity: vec![] };
        assert!(
            FieldValues::new(&field, &column, 2)
                .unwrap_err()
                .to_string()
                .contains("column a has 1 values instead of 2")
        );
        assert_eq!(FieldValues::new(&field, &column, 1).unwrap().value(0), json!(1));
    }
}
