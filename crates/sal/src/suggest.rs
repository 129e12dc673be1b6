//! Names that someone may have meant.

/// At most this many names are suggested.
const MAX_SUGGESTIONS: usize = 3;

/// Names of `known` that are near to `name`, the nearest first, at most three.
///
/// Near is: the same but for upper and lower case, one the beginning of the other, or few letters changed.
pub fn suggestions<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let allowed = (wanted.len() / 3).max(1);
    let mut near: Vec<(usize, &str)> = Vec::new();
    for candidate in known {
        let other: Vec<char> = candidate.to_lowercase().chars().collect();
        let is_beginning = wanted.len() >= 3
            && other.len() >= 3
            && (other.starts_with(&wanted) || wanted.starts_with(&other));
        // The difference in length is a lower bound; testing it first keeps long input cheap.
        if other.len().abs_diff(wanted.len()) <= allowed {
            let changed = distance(&wanted, &other);
            if changed <= allowed {
                near.push((changed, candidate));
                continue;
            }
        }
        if is_beginning {
            near.push((allowed + 1, candidate));
        }
    }
    near.sort();
    near.into_iter().take(MAX_SUGGESTIONS).map(|(_, candidate)| candidate).collect()
}

/// Letters to insert, remove or replace to make `a` of `b` (Levenshtein).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] = ["ATCamera", "CCCamera", "MTCamera", "MTM1M3", "MTM1M3TS", "ESS"];

    #[test]
    fn the_nearest_name_comes_first() {
        assert_eq!(suggestions("atcamera", KNOWN), ["ATCamera", "MTCamera", "CCCamera"]);
        assert_eq!(suggestions("MTM1M2", KNOWN), ["MTM1M3"]);
        assert_eq!(suggestions("MTM1", KNOWN), ["MTM1M3", "MTM1M3TS"]);
    }

    #[test]
    fn nothing_near_suggests_nothing() {
        assert!(suggestions("Watcher", KNOWN).is_empty());
        assert!(suggestions("", KNOWN).is_empty());
    }

    #[test]
    fn distance_counts_changed_letters() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        for (a, b, changed) in
            [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("flaw", "lawn", 2)]
        {
            assert_eq!(distance(&letters(a), &letters(b)), changed, "{a} {b}");
        }
    }
}
