//! Enumerations: names for the integers of a field. They stand only in the interface files; schema and wire
//! carry the integer.

/// One name and its integer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumItem {
    /// Name, such as `ENABLED`.
    pub name: String,
    /// What the wire carries.
    pub value: i64,
}

/// An enumeration that a component shares among its topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enumeration {
    /// What stands before the first underscore of its items, such as `DetailedState`; empty if nothing does.
    pub name: String,
    /// Its items without that name, in the order of the file.
    pub items: Vec<EnumItem>,
}

/// Reads `a, b=5, c`: an item without a value has the one after its predecessor's, the first one 1. An item whose
/// value is no whole number is left out: nothing on the wire depends on it, so it shall not cost the component.
pub(crate) fn read_items(text: &str) -> Vec<EnumItem> {
    let mut next = Some(1_i64);
    let mut items = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name.trim_end(), integer(value.trim())),
            None => (item, next),
        };
        let Some(value) = value else {
            continue;
        };
        items.push(EnumItem { name: name.to_owned(), value });
        next = value.checked_add(1);
    }
    items
}

/// Reads the items of a set's enumeration, each `Type_Item`.
pub(crate) fn read_shared(text: &str) -> Enumeration {
    let mut items = read_items(text);
    let name = items.first().and_then(|item| item.name.split_once('_')).map(|(name, _)| name.to_owned());
    let name = name.unwrap_or_default();
    for item in &mut items {
        if let Some((prefix, rest)) = item.name.split_once('_')
            && prefix == name
        {
            item.name = rest.to_owned();
        }
    }
    Enumeration { name, items }
}

fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(items: &[EnumItem]) -> Vec<(&str, i64)> {
        items.iter().map(|item| (item.name.as_str(), item.value)).collect()
    }

    #[test]
    fn values_count_from_one_and_go_on_after_a_given_one() {
        assert_eq!(pairs(&read_items("IDLE, BUSY")), [("IDLE", 1), ("BUSY", 2)]);
        assert_eq!(pairs(&read_items("\n A = 0,\n B=0x10, C,\n")), [("A", 0), ("B", 16), ("C", 17)]);
        assert_eq!(pairs(&read_items("A=-3, B")), [("A", -3), ("B", -2)]);
    }

    #[test]
    fn an_item_without_a_usable_value_is_left_out() {
        assert_eq!(pairs(&read_items("A=one, B")), [("B", 1)]);
        assert_eq!(pairs(&read_items("A=9223372036854775807, B, C=1")), [("A", i64::MAX), ("C", 1)]);
        assert!(read_items(" , ,").is_empty());
    }

    #[test]
    fn a_shared_enumeration_is_named_by_its_items() {
        let shared = read_shared("State_Up=1, State_Half_Up, Other_Down");
        assert_eq!(shared.name, "State");
        assert_eq!(pairs(&shared.items), [("Up", 1), ("Half_Up", 2), ("Other_Down", 3)]);
        assert_eq!(read_shared("Up, Down").name, "");
    }
}
