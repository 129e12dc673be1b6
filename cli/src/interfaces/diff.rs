//! `efd interfaces diff`: the changes between two releases, as a person reads them.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use super::check::{explain, shorten};
use super::difference::{ComponentChange, ReleaseChange, TopicChange, compare};
use super::library::{Library, type_name};
use crate::output;

/// Compares two folders; exit code 1 when InfluxDB cannot take the new release as it took the old one.
pub fn run(old: &Path, new: &Path) -> anyhow::Result<ExitCode> {
    let change = compare(&Library::load_right(old)?.components, &Library::load_right(new)?.components);
    output::print(&text(&change));
    let topics = || change.changed.iter().flat_map(|component| &component.changed);
    let conflicts: usize =
        topics().flat_map(|topic| &topic.conflicts).map(|conflict| conflict.names.len()).sum();
    let clashes: usize = topics().map(|topic| topic.clashes.len()).sum();
    if conflicts + clashes == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    output::complain(&format!(
        "efd interfaces diff: {conflicts} names change their type in InfluxDB, which refuses them until the next shard \
         begins; {clashes} new clashes of names"
    ));
    Ok(ExitCode::FAILURE)
}

fn text(change: &ReleaseChange) -> String {
    let mut text = String::new();
    for (name, topics) in &change.removed {
        line(&mut text, 0, '-', &format!("component {name}, {topics} topics"));
    }
    for (name, topics) in &change.added {
        line(&mut text, 0, '+', &format!("component {name}, {topics} topics"));
    }
    for component in &change.changed {
        component_text(&mut text, component);
    }
    text + &totals(change)
}

fn component_text(text: &mut String, component: &ComponentChange) {
    line(text, 0, '~', &format!("component {}", component.name));
    if let Some(indexed) = component.indexed {
        let says = if indexed {
            "indexed now: every topic gets salIndex"
        } else {
            "no longer indexed: salIndex goes"
        };
        line(text, 1, '~', says);
    }
    for topic in &component.removed {
        line(text, 1, '-', topic);
    }
    for topic in &component.added {
        line(text, 1, '+', topic);
    }
    for topic in &component.changed {
        topic_text(text, topic);
    }
}

fn topic_text(text: &mut String, topic: &TopicChange) {
    if topic.is_same_points() {
        // A description changes often and in many topics: counted at the end.
        return;
    }
    line(text, 1, '~', &topic.name);
    for field in &topic.removed {
        line(text, 2, '-', &format!("{} {}", field.name, type_name(field)));
    }
    for field in &topic.added {
        line(text, 2, '+', &format!("{} {}", field.name, type_name(field)));
    }
    for (name, changes) in &topic.changed {
        line(text, 2, '~', &format!("{name}: {}", changes.join(", ")));
    }
    for conflict in &topic.conflicts {
        let names = shorten(&conflict.names);
        let (old, new) = (conflict.old.name(), conflict.new.name());
        line(text, 2, '!', &format!("InfluxDB has {names} as {old} and refuses {new} in the same shard"));
    }
    for clash in &topic.clashes {
        line(text, 2, '!', &explain(clash));
    }
}

fn line(text: &mut String, depth: usize, mark: char, what: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{:indent$}{mark} {what}", "", indent = 2 * depth);
}

fn totals(change: &ReleaseChange) -> String {
    let topics = || change.changed.iter().flat_map(|component| &component.changed);
    let sum = |of: fn(&ComponentChange) -> usize| -> usize { change.changed.iter().map(of).sum() };
    let of_added: usize = change.added.iter().map(|(_, topics)| topics).sum();
    let of_removed: usize = change.removed.iter().map(|(_, topics)| topics).sum();
    let texts = topics().filter(|topic| topic.is_same_points()).count();
    format!(
        "components  {} added, {} removed, {} changed\n\
         topics      {} added, {} removed, {} with other fields, {texts} with only other texts or order\n\
         fields      {} added, {} removed, {} changed in topics that stay\n",
        change.added.len(),
        change.removed.len(),
        change.changed.len(),
        of_added + sum(|component| component.added.len()),
        of_removed + sum(|component| component.removed.len()),
        topics().count() - texts,
        topics().map(|topic| topic.added.len()).sum::<usize>(),
        topics().map(|topic| topic.removed.len()).sum::<usize>(),
        topics().map(|topic| topic.changed.len()).sum::<usize>(),
    )
}
