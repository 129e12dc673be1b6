//! Conditions on rows, checked against the schema (pure).

use efd_proto::query::v1::condition::Value;
use efd_proto::query::v1::{Condition, FieldType, Operator};

use crate::error::QueryError;
use crate::influxql::{Comparison, Literal};
use crate::layout::Layout;

/// The comparison that a condition asks for.
///
/// # Errors
/// `InvalidArgument` when there is no such field, the value is not of its type, or such values have no order.
pub fn comparison(condition: &Condition, layout: &Layout, topic: &str) -> Result<Comparison, QueryError> {
    let field = &condition.field;
    let refused = |problem: String| Err(QueryError::InvalidArgument(problem));
    let Some(ty) = layout.stored_type(field) else {
        let known = layout.fields().map(|known| known.name.as_str());
        let hint = efd_sal::hint(field, known);
        return refused(format!(
            "condition: topic {topic} has no scalar field or element of an array {field}{hint}"
        ));
    };
    let Some(value) = &condition.value else {
        return refused(format!("condition on {field}: value is missing"));
    };
    let Some(value) = literal(value, ty) else {
        let (wanted, type_name) = (wanted(ty), ty.as_str_name());
        return refused(format!(
            "condition on {field}: {value:?} is no {wanted}, and the field is a {type_name}"
        ));
    };
    let operator = condition.operator();
    let has_order = matches!(value, Literal::Long(_) | Literal::Double(_));
    let operator = match operator {
        Operator::Equal => "=",
        Operator::NotEqual => "!=",
        Operator::Less if has_order => "<",
        Operator::LessOrEqual if has_order => "<=",
        Operator::Greater if has_order => ">",
        Operator::GreaterOrEqual if has_order => ">=",
        Operator::Unspecified => return refused(format!("condition on {field}: operator is missing")),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            return refused(format!("condition on {field}: only numbers are less or greater"));
        }
    };
    Ok(Comparison { column: field.clone(), operator, value })
}

/// The value in a statement, if it is one that a field of this type may have.
fn literal(value: &Value, ty: FieldType) -> Option<Literal> {
    match (value, ty) {
        // The least has no digits that InfluxQL could read.
        (Value::Long(value), FieldType::Int | FieldType::Long) if *value > i64::MIN => {
            Some(Literal::Long(*value))
        }
        (Value::Double(value), FieldType::Float | FieldType::Double) if value.is_finite() => {
            Some(Literal::Double(*value))
        }
        (Value::Boolean(value), FieldType::Boolean) => Some(Literal::Boolean(*value)),
        (Value::String(value), FieldType::String | FieldType::Bytes | FieldType::Enum) => {
            Some(Literal::Text(value.clone()))
        }
        _ => None,
    }
}

fn wanted(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Int | FieldType::Long => "`long` above the least",
        FieldType::Float | FieldType::Double => "finite `double`",
        FieldType::Boolean => "`boolean`",
        FieldType::String | FieldType::Bytes | FieldType::Enum => "`string`",
        FieldType::Unspecified => "value that is stored",
    }
}

#[cfg(test)]
mod tests {
    use efd_schema::RecordSchema;

    use super::*;

    const SCHEMA: &str = r#"{"type":"record","name":"y","namespace":"lsst.sal.X","fields":[
        {"name":"i","type":"int"},{"name":"d","type":"double"},{"name":"b","type":"boolean"},{"name":"s","type":"string"},
        {"name":"a","type":{"type":"array","items":"float"},"default":[0.0,0.0]}]}"#;

    fn compare(field: &str, operator: Operator, value: Value) -> Result<Comparison, String> {
        let layout = Layout::new(&RecordSchema::parse(SCHEMA).unwrap());
        let condition = Condition { field: field.into(), operator: operator.into(), value: Some(value) };
        comparison(&condition, &layout, "lsst.sal.X.y").map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_of_the_type_of_their_field() {
        let ok = [
            ("i", Value::Long(-3), Literal::Long(-3)),
            ("d", Value::Double(0.5), Literal::Double(0.5)),
            ("a1", Value::Double(0.5), Literal::Double(0.5)),
        ];
        for (field, value, literal) in ok {
            let compared = compare(field, Operator::LessOrEqual, value).unwrap();
            assert_eq!((compared.operator, compared.value), ("<=", literal));
        }
        let compared = compare("s", Operator::NotEqual, Value::String("x".into())).unwrap();
        assert_eq!(compared.value, Literal::Text("x".into()));
        assert!(compare("b", Operator::Equal, Value::Boolean(true)).is_ok());
    }

    #[test]
    fn what_can_never_hold_is_refused_by_name() {
        let cases = [
            ("z", Operator::Equal, Value::Long(1), "no scalar field or element of an array z"),
            ("a", Operator::Equal, Value::Double(1.0), "no scalar field or element of an array a"),
            ("a2", Operator::Equal, Value::Double(1.0), "no scalar field or element of an array a2"),
            ("i", Operator::Equal, Value::Double(1.0), "is no `long`"),
            ("i", Operator::Equal, Value::Long(i64::MIN), "is no `long`"),
            ("d", Operator::Equal, Value::Double(f64::NAN), "is no finite `double`"),
            ("s", Operator::Less, Value::String("x".into()), "only numbers are less"),
            ("b", Operator::Greater, Value::Boolean(true), "only numbers are less"),
            ("i", Operator::Unspecified, Value::Long(1), "operator is missing"),
        ];
        for (field, operator, value, message) in cases {
            let error = compare(field, operator, value).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
