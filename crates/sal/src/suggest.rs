//! Names that someone may have meant.

/// At most this many names are suggested.
const MAX_SUGGESTIONS: usize = 3;

/// Names of `known` that are near to `name`, the nearest first, at most three.
///
/// Near is: the same but for upper and lower case, one the beginning of the other, or few letters changed.
pub fn suggestions<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let allowed = (wanted.len() / 3).max(1);
    let mut near: Vec<(usize, &str)> = Vec::new();
    for candidate in known {
        let other = candidate.to_lowercase();
        // The difference in length is a lower bound; testing it first keeps long input cheap.
        let changed = (other.len().abs_diff(wanted.len()) <= allowed)
            .then(|| strsim::damerau_levenshtein(&wanted, &other))
            .filter(|changed| *changed <= allowed);
        let is_beginning = wanted.len() >= 3
            && other.len() >= 3
            && (other.starts_with(&wanted) || wanted.starts_with(&other));
        if let Some(changed) = changed {
            near.push((changed, candidate));
        } else if is_beginning {
            near.push((allowed + 1, candidate));
        }
    }
    near.sort();
    near.into_iter().take(MAX_SUGGESTIONS).map(|(_, candidate)| candidate).collect()
}

/// What ends a message about a `name` that is not among those `known`: `; did you mean a, b?`, or nothing where none is
/// near.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    did_you_mean(&suggestions(name, known))
}

/// `; did you mean a, b?`, or nothing where there is no name.
pub fn did_you_mean<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(", ")) }
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
        assert_eq!(suggestions("Tset", ["Rest of it", "Test"]), ["Test"], "two letters changed places");
    }

    #[test]
    fn nothing_near_suggests_nothing() {
        assert!(suggestions("Watcher", KNOWN).is_empty());
        assert!(suggestions("", KNOWN).is_empty());
    }

    #[test]
    fn a_hint_ends_a_message_or_is_empty() {
        assert_eq!(hint("MTM1", KNOWN), "; did you mean MTM1M3, MTM1M3TS?");
        assert_eq!(hint("Watcher", KNOWN), "");
    }
}
