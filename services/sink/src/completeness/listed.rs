//! Records that something is to be said of: how many, and which of them as far as a bound allows. Pure.

use serde::{Deserialize, Serialize};

/// Consecutive numbers of which the same is to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ItemText", into = "ItemText")]
pub struct Item {
    /// First number.
    pub first: i64,
    /// Last number.
    pub last: i64,
    /// Time of the first one's point, Unix microseconds; none where there is no point.
    pub first_time: Option<i64>,
    /// Time of the last one's point.
    pub last_time: Option<i64>,
    /// Why, as the list has it; 0 for nothing.
    pub reason: u8,
}

impl Item {
    /// How many numbers.
    pub fn count(&self) -> u64 {
        u64::try_from(self.last.saturating_sub(self.first).saturating_add(1)).unwrap_or_default()
    }
}

/// As it is written: first number, further numbers, times, reason.
type ItemText = (i64, i64, Option<i64>, Option<i64>, u8);

impl From<ItemText> for Item {
    fn from((first, more, first_time, last_time, reason): ItemText) -> Self {
        Self { first, last: first.saturating_add(more.max(0)), first_time, last_time, reason }
    }
}

impl From<Item> for ItemText {
    fn from(item: Item) -> Self {
        (item.first, item.last.saturating_sub(item.first), item.first_time, item.last_time, item.reason)
    }
}

/// A list with a count. The count is exact; the list holds the newest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    #[serde(rename = "n")]
    count: u64,
    #[serde(rename = "i", default, skip_serializing_if = "Vec::is_empty")]
    items: Vec<Item>,
}

impl Listed {
    /// Adds a number.
    pub fn add(&mut self, number: i64, time: Option<i64>, reason: u8, bound: usize) {
        self.add_all(Item { first: number, last: number, first_time: time, last_time: time, reason }, bound);
    }

    /// Adds consecutive numbers; beyond `bound` items the oldest is dropped from the list.
    pub fn add_all(&mut self, item: Item, bound: usize) {
        self.count += item.count();
        if let Some(last) = self.items.last_mut()
            && last.last.checked_add(1) == Some(item.first)
            && (last.reason, last.last_time.is_some()) == (item.reason, item.first_time.is_some())
        {
            (last.last, last.last_time) = (item.last, item.last_time);
            return;
        }
        self.items.push(item);
        if self.items.len() > bound.max(1) {
            self.items.remove(0);
        }
    }

    /// Takes the newest listed occurrence of a number out again; false when it is not in the list.
    pub fn remove(&mut self, number: i64) -> bool {
        let Some(index) = self.items.iter().rposition(|item| (item.first..=item.last).contains(&number))
        else {
            return false;
        };
        let item = self.items.remove(index);
        let above = Item { first: number + 1, first_time: item.last_time, ..item };
        let below = Item { last: number - 1, last_time: item.first_time, ..item };
        for part in [above, below].into_iter().filter(|part| part.first <= part.last) {
            self.items.insert(index, part);
        }
        self.count = self.count.saturating_sub(1);
        true
    }

    /// Whether a number is in the list.
    pub fn contains(&self, number: i64) -> bool {
        self.items.iter().any(|item| (item.first..=item.last).contains(&number))
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Which, as far as they are listed.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Whether there was nothing.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_numbers_are_one_item_and_can_be_taken_out() {
        let mut listed = Listed::default();
        for number in [5, 6, 7, 9] {
            listed.add(number, Some(number * 10), 0, 10);
        }
        assert!(listed.remove(6) && !listed.remove(8));
        let ends: Vec<_> = listed.items().iter().map(|item| (item.first, item.last)).collect();
        assert_eq!((listed.count(), ends), (3, vec![(5, 5), (7, 7), (9, 9)]));
        let text = serde_json::to_string(&listed).unwrap();
        assert_eq!(serde_json::from_str::<Listed>(&text).unwrap(), listed);
    }

    #[test]
    fn the_list_is_bounded_and_the_count_is_not() {
        let mut listed = Listed::default();
        for number in 0..100 {
            listed.add(number * 2, None, 1, 3);
        }
        assert_eq!((listed.count(), listed.items().len()), (100, 3));
        assert!(listed.contains(198) && !listed.contains(0));
    }
}
