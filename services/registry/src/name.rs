//! Names of subjects, and the contexts they are in. Pure.
//!
//! A context is a registry inside the registry: its ids, and its subjects, are its own. It is written into the name of a subject,
//! `:.lab:lsst.sal.Test.scalars-value`; a name without one is in the default context, which is called `.`. The name with
//! nothing after the context, `:.lab:`, stands for the context itself, where settings are concerned.

use std::borrow::Cow;

/// The context of names that name none.
pub const DEFAULT_CONTEXT: &str = ".";
/// In front of a prefix of subjects: in any context.
const ANY_CONTEXT: &str = ":*:";

/// Context of a subject.
pub fn context_of(subject: &str) -> &str {
    split(subject).map_or(DEFAULT_CONTEXT, |(context, _)| context)
}

/// The name that stands for the context of a subject itself; none for the default context.
pub fn context_settings(subject: &str) -> Option<&str> {
    let (context, _) = split(subject).filter(|(context, _)| *context != DEFAULT_CONTEXT)?;
    subject.get(..context.len() + 2)
}

/// Whether the name stands for a context and not for a subject in it.
pub fn is_context(subject: &str) -> bool {
    split(subject).is_some_and(|(_, rest)| rest.is_empty())
}

/// The one way to write a subject of which a client gave the name, inside the context of the path, if that has one.
pub fn qualified<'a>(context: Option<&str>, subject: &'a str) -> Cow<'a, str> {
    match (split(subject), context) {
        (Some((DEFAULT_CONTEXT, rest)), _) => Cow::Borrowed(rest),
        (Some(_), _) | (None, None | Some(DEFAULT_CONTEXT)) => Cow::Borrowed(subject),
        (None, Some(context)) => Cow::Owned(format!(":{context}:{subject}")),
    }
}

/// The context that a path or a body names: `.lab`, or with colons around it.
pub fn context(text: &str) -> Option<&str> {
    let name = text.strip_prefix(':').map_or(text, |rest| rest.strip_suffix(':').unwrap_or(rest));
    let is_valid = name.starts_with('.') && !name.contains(|c: char| c == ':' || c.is_control());
    is_valid.then_some(name)
}

/// Whether a subject is among those of a prefix. An empty one, and one in front of which stands `:*:`, is for all contexts;
/// any other is for the context it names.
pub fn matches_prefix(subject: &str, prefix: &str) -> bool {
    if let Some(rest) = prefix.strip_prefix(ANY_CONTEXT) {
        let name = split(subject).map_or(subject, |(_, name)| name);
        return name.starts_with(rest);
    }
    match prefix.strip_prefix(":.:") {
        Some(rest) => subject.starts_with(rest) && context_of(subject) == DEFAULT_CONTEXT,
        None => subject.starts_with(prefix),
    }
}

fn split(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix(':').filter(|rest| rest.starts_with('.'))?.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_part_of_a_name() {
        let table = [
            ("a", ".", None, false),
            (":.lab:a", ".lab", Some(":.lab:"), false),
            (":.lab:a:b", ".lab", Some(":.lab:"), false),
            (":.lab:", ".lab", Some(":.lab:"), true),
            (":lab:a", ".", None, false),
            ("a:.lab:", ".", None, false),
        ];
        for (subject, context, settings, is_all) in table {
            assert_eq!(context_of(subject), context, "{subject}");
            assert_eq!(context_settings(subject), settings, "{subject}");
            assert_eq!(is_context(subject), is_all, "{subject}");
        }
    }

    #[test]
    fn a_path_may_name_the_context_too() {
        let table = [
            (None, "a", "a"),
            (None, ":.:a", "a"),
            (Some("."), "a", "a"),
            (Some(".lab"), "a", ":.lab:a"),
            (Some(".lab"), "", ":.lab:"),
            (Some(".lab"), ":.other:a", ":.other:a"),
        ];
        for (context, subject, expected) in table {
            assert_eq!(qualified(context, subject), expected);
        }
        assert_eq!(
            [context(".lab"), context(":.lab:"), context("lab"), context(".a:b")],
            [Some(".lab"), Some(".lab"), None, None]
        );
    }

    #[test]
    fn a_prefix_is_for_one_context_or_for_all() {
        let table = [
            ("a1", "", true),
            (":.lab:a1", "", true),
            (":.lab:a1", ":*:", true),
            (":.lab:a1", ":*:a", true),
            ("a1", ":*:a", true),
            ("b1", ":*:a", false),
            (":.lab:a1", "a", false),
            (":.lab:a1", ":.lab:", true),
            ("a1", ":.:a", true),
            (":.lab:a1", ":.:", false),
        ];
        for (subject, prefix, expected) in table {
            assert_eq!(matches_prefix(subject, prefix), expected, "{subject} {prefix}");
        }
    }
}
