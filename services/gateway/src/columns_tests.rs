//! Tests of turning rows into columns.

use efd_proto::query::v1::Field;

use super::*;

fn field(name: &str, ty: FieldType, stored: &[bool], is_array: bool) -> FieldLayout {
    let array_length = is_array.then(|| u32::try_from(stored.len()).unwrap());
    FieldLayout {
        field: Field { name: name.into(), r#type: ty.into(), array_length, ..Field::default() },
        stored: stored.to_vec(),
    }
}

fn build(fields: &[FieldLayout], rows: &[&str]) -> Result<Batch, RowError> {
    let mut builder = BatchBuilder::new(fields);
    for row in rows {
        builder.push(row.as_bytes())?;
    }
    Ok(builder.take())
}

fn bits(column: &Column, length: usize) -> Vec<bool> {
    (0..length).map(|place| column.validity[place / 8] & (1 << (place % 8)) != 0).collect()
}

#[test]
fn columns_follow_the_schema_whatever_the_numbers_look_like() {
    let fields = [
        field("d", FieldType::Float, &[true], false),
        field("i", FieldType::Long, &[true], false),
        field("b", FieldType::Boolean, &[true], false),
        field("s", FieldType::String, &[true], false),
    ];
    let batch =
        build(&fields, &[r#"[10,1,2,true,"x"]"#, r#"[20,0.5,9007199254740993,false,"\u00e9"]"#]).unwrap();
    assert_eq!(batch.times, [10, 20]);
    let values: Vec<_> =
        batch.columns.into_iter().map(|column| (column.values.unwrap(), column.validity)).collect();
    let complete = Vec::new();
    let expected = [
        (ColumnValues::Doubles(Doubles { values: vec![1.0, 0.5] }), complete.clone()),
        (ColumnValues::Longs(Longs { values: vec![2, 9_007_199_254_740_993] }), complete.clone()),
        (ColumnValues::Booleans(Booleans { values: vec![true, false] }), complete.clone()),
        (ColumnValues::Strings(Strings { values: vec!["x".into(), "é".into()] }), complete),
    ];
    assert_eq!(values, expected);
}

#[test]
fn arrays_are_flattened_row_after_row_and_gaps_keep_their_places() {
    let fields = [
        field("a", FieldType::Double, &[true, false, true], true),
        field("gone", FieldType::Int, &[false], false),
        field("i", FieldType::Int, &[true], false),
    ];
    let batch = build(&fields, &["[1,0.5,1.5,7]", "[2,null,2.5,8]", "[3,3,3.5,null]"]).unwrap();
    let doubles = vec![0.5, 0.0, 1.5, 0.0, 0.0, 2.5, 3.0, 0.0, 3.5];
    assert_eq!(batch.columns[0].values, Some(ColumnValues::Doubles(Doubles { values: doubles })));
    let valid = [true, false, true, false, false, true, true, false, true];
    assert_eq!(bits(&batch.columns[0], 9), valid);
    assert_eq!(batch.columns[0].validity.len(), 2);
    assert_eq!(batch.columns[1].values, Some(ColumnValues::Longs(Longs { values: vec![0, 0, 0] })));
    assert_eq!(bits(&batch.columns[1], 3), [false; 3]);
    assert_eq!(bits(&batch.columns[2], 3), [true, true, false]);
}

#[test]
fn validity_is_right_wherever_the_first_gap_is() {
    for gap in 0..40 {
        let mut validity = Validity::default();
        for place in 0..40 {
            validity.push(place != gap);
        }
        let column = Column { validity: validity.bits, ..Column::default() };
        let expected: Vec<bool> = (0..40).map(|place| place != gap).collect();
        assert_eq!(bits(&column, 40), expected, "gap at {gap}");
        assert_eq!(column.validity.len(), 5);
    }
}

#[test]
fn a_batch_starts_empty_after_the_one_before_was_taken() {
    let mut builder = BatchBuilder::new(&[field("d", FieldType::Double, &[true], false)]);
    builder.push(b"[1,null]").unwrap();
    assert!(builder.bytes() >= 16 && !builder.is_empty());
    assert_eq!(builder.take().columns[0].validity, [0]);
    assert!(builder.is_empty() && builder.bytes() == 0);
    builder.push(b"[2,1]").unwrap();
    let batch = builder.take();
    assert_eq!((batch.times, batch.columns[0].validity.len()), (vec![2], 0));
}

#[test]
fn a_value_of_another_type_is_named_with_its_field() {
    let fields = [field("i", FieldType::Int, &[true], false), field("b", FieldType::Boolean, &[true], false)];
    let misfit = build(&fields, &["[1,1.5,true]"]).unwrap_err().to_string();
    assert_eq!(misfit, "field i: 1.5 is no integer");
    assert_eq!(build(&fields, &["[1,1,0]"]).unwrap_err().to_string(), "field b: 0 is no boolean");
    for row in ["[1,2]", "[1,2,true,3]", "[null,1,true]", "[1.5,1,true]", "[]", "", "[[1],2]"] {
        assert_eq!(build(&fields, &[row]).unwrap_err(), RowError::Malformed, "{row}");
    }
}

#[test]
fn the_length_of_varints_is_known() {
    for (value, length) in [(0, 1), (-1, 1), (63, 1), (64, 2), (-65, 2), (i64::MAX, 10), (i64::MIN, 10)] {
        assert_eq!(varint_length(value), length, "{value}");
    }
}
