//! What becomes of the fields of a topic in InfluxDB, which has no arrays: an array `a` becomes `a0`, `a1`, ….
//!
//! That is not injective: an array `temp` and a scalar `temp1` claim the same name. Of two fields that do, the one
//! declared first keeps the name; the sink decides so for each schema, and here it is found before a release is used.

use std::collections::HashMap;

use crate::field::{Field, FieldType};

/// Type of a value as InfluxDB stores it. Within one shard a name has one of them: points of another are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoredType {
    /// True or false.
    Boolean,
    /// 64-bit signed integer.
    Integer,
    /// 64-bit floating-point number.
    Float,
    /// Text.
    String,
}

impl StoredType {
    /// As InfluxDB calls it.
    pub fn name(self) -> &'static str {
        match self {
            StoredType::Boolean => "boolean",
            StoredType::Integer => "integer",
            StoredType::Float => "float",
            StoredType::String => "string",
        }
    }
}

impl FieldType {
    /// How InfluxDB stores it.
    pub fn stored(self) -> StoredType {
        match self {
            FieldType::Boolean => StoredType::Boolean,
            FieldType::Int | FieldType::Long => StoredType::Integer,
            FieldType::Float | FieldType::Double => StoredType::Float,
            FieldType::String => StoredType::String,
        }
    }
}

impl Field {
    /// The names of its values in InfluxDB: its own, or one for each element.
    pub fn stored_names(&self) -> impl Iterator<Item = String> {
        let elements = if self.is_array() { self.count } else { 0 };
        let own = (!self.is_array()).then(|| self.name.clone());
        own.into_iter().chain((0..elements).map(move |index| format!("{}{index}", self.name)))
    }
}

/// Two fields whose names in InfluxDB cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// The array.
    pub array: String,
    /// The other field, a scalar or an array.
    pub other: String,
    /// Names of values, in the order of the other field's.
    pub names: Vec<String>,
    /// How bad it is.
    pub kind: ClashKind,
}

/// How bad a clash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClashKind {
    /// Both fields claim the names, and the values of one of the two are not stored.
    Collision {
        /// The array is declared first, so that its values are the ones that are stored.
        array_is_kept: bool,
    },
    /// All is stored, but who puts the array together again from the names alone takes the other's values for
    /// elements.
    Ambiguity,
}

/// Clashes among the fields of a topic, in their order.
pub fn clashes(fields: &[Field]) -> Vec<Clash> {
    let arrays: HashMap<&str, usize> = fields
        .iter()
        .enumerate()
        .filter(|(_, field)| field.is_array())
        .map(|(place, field)| (field.name.as_str(), place))
        .collect();
    let mut clashes = Vec::new();
    for (place, other) in fields.iter().enumerate() {
        let base = other.name.trim_end_matches(|last: char| last.is_ascii_digit());
        // The array's name may itself end in digits, so each split of them is tried.
        for end in base.len()..other.name.len() {
            let array = other.name.get(..end).and_then(|name| arrays.get(name));
            if let Some((array_place, array)) = array.and_then(|place| Some((*place, fields.get(*place)?))) {
                add_clashes(array, other, array_place < place, &mut clashes);
            }
        }
    }
    clashes
}

/// The names of `other` that begin with the array's name have only digits behind it.
fn add_clashes(array: &Field, other: &Field, array_is_kept: bool, clashes: &mut Vec<Clash>) {
    let is_element = |name: &String| {
        let digits = name.get(array.name.len()..).unwrap_or_default();
        let is_canonical = digits == "0" || !digits.starts_with('0');
        is_canonical && digits.parse::<usize>().is_ok_and(|index| index < array.count)
    };
    let (collisions, lookalikes): (Vec<String>, Vec<String>) = other.stored_names().partition(is_element);
    for (names, kind) in
        [(collisions, ClashKind::Collision { array_is_kept }), (lookalikes, ClashKind::Ambiguity)]
    {
        if !names.is_empty() {
            clashes.push(Clash { array: array.name.clone(), other: other.name.clone(), names, kind });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, count: usize) -> Field {
        Field::new(name, FieldType::Double, count)
    }

    fn found(fields: &[Field]) -> Vec<(String, String, String, ClashKind)> {
        let summary = |clash: Clash| (clash.array, clash.other, clash.names.join(" "), clash.kind);
        clashes(fields).into_iter().map(summary).collect()
    }

    fn one(
        array: &str,
        other: &str,
        names: &str,
        kind: ClashKind,
    ) -> Vec<(String, String, String, ClashKind)> {
        vec![(array.to_owned(), other.to_owned(), names.to_owned(), kind)]
    }

    const FIRST: ClashKind = ClashKind::Collision { array_is_kept: true };
    const SECOND: ClashKind = ClashKind::Collision { array_is_kept: false };

    #[test]
    fn a_scalar_named_as_an_element_collides_and_the_first_declared_is_kept() {
        assert_eq!(found(&[field("a", 3), field("a2", 1)]), one("a", "a2", "a2", FIRST));
        assert_eq!(found(&[field("a2", 1), field("a", 3)]), one("a", "a2", "a2", SECOND));
    }

    #[test]
    fn elements_of_two_arrays_collide() {
        let found = found(&[field("read", 25), field("read2", 7)]);
        let kinds: Vec<_> = found.iter().map(|clash| (clash.2.as_str(), clash.3)).collect();
        assert_eq!(
            kinds,
            [("read20 read21 read22 read23 read24", FIRST), ("read25 read26", ClashKind::Ambiguity)]
        );
    }

    #[test]
    fn names_beyond_the_array_or_with_leading_zeros_are_only_ambiguous() {
        assert_eq!(found(&[field("a", 3), field("a3", 1)]), one("a", "a3", "a3", ClashKind::Ambiguity));
        assert_eq!(found(&[field("a", 3), field("a01", 1)]), one("a", "a01", "a01", ClashKind::Ambiguity));
        let huge = "a99999999999999999999999";
        assert_eq!(found(&[field("a", 3), field(huge, 1)]), one("a", huge, huge, ClashKind::Ambiguity));
        assert_eq!(
            found(&[field("t1", 2), field("t10", 2)]),
            one("t1", "t10", "t100 t101", ClashKind::Ambiguity)
        );
    }

    #[test]
    fn names_that_only_look_alike_are_no_clash() {
        assert!(clashes(&[field("a", 1), field("a1", 1), field("a2", 1)]).is_empty(), "no array");
        assert!(clashes(&[field("a", 3), field("ab1", 1), field("a1b", 1), field("b1", 3)]).is_empty());
        assert!(clashes(&[field("a0", 5), field("b0", 5)]).is_empty(), "an array is no clash with itself");
    }

    #[test]
    fn every_array_that_a_name_may_belong_to_is_found() {
        let found = found(&[field("a", 30), field("a1", 5), field("a12", 1)]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], one("a", "a1", "a10 a11 a12 a13 a14", FIRST)[0]);
        assert_eq!(found[1], one("a", "a12", "a12", FIRST)[0]);
        assert_eq!(found[2], one("a1", "a12", "a12", FIRST)[0]);
    }

    #[test]
    fn stored_names_are_those_of_influxdb() {
        assert_eq!(field("a", 1).stored_names().collect::<Vec<_>>(), ["a"]);
        assert_eq!(field("a0", 3).stored_names().collect::<Vec<_>>(), ["a00", "a01", "a02"]);
        assert_eq!(FieldType::Float.stored(), FieldType::Double.stored());
        assert_eq!(FieldType::Int.stored().name(), "integer");
    }
}
