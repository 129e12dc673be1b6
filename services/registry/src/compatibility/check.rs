//! Whether one schema can read what another one wrote: the rules of Avro Java's `SchemaCompatibility`.
//!
//! The verdict on a pair of types follows from verdicts on pairs of their parts. Pairs are gathered once each, without recursion;
//! then those that cannot fit are struck out, and with them the pairs that need them, until nothing changes. What
//! is left fits: so a type that contains itself fits unless something speaks against it.

use std::collections::HashMap;

use super::difference::{Difference, Kind};
use super::graph::{Graph, Names, Node, Place, Primitive, Record};

/// Pairs of types that are looked at; two SAL schemas have as many as fields. More would take too long.
const MAX_PAIRS: usize = 200_000;
/// Differences that are reported.
const MAX_DIFFERENCES: usize = 50;
/// Types within types that a report goes into.
const MAX_DEPTH: usize = 100;

/// A type of the reader and one of the writer.
type Pair = (Place, Place);

/// What a comparison of two types says.
#[derive(Debug, Default)]
struct Comparison {
    /// What does not fit, whatever the parts say.
    faults: Vec<Difference>,
    /// Which pairs of parts have to fit, each with its place below this one.
    parts: Vec<(String, Pair)>,
    /// How the parts count.
    rule: Rule,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Rule {
    /// All have to fit.
    #[default]
    All,
    /// All have to fit; one that does not is a branch of a union that the reader lacks.
    AllBranches,
    /// One has to fit: they are the branches of the reader's union.
    Any,
}

/// What is known of a pair.
#[derive(Debug)]
struct Verdict {
    fits: bool,
    /// How many of its parts may be struck out before it is.
    spare: usize,
    /// Pairs that need this one.
    needed_by: Vec<usize>,
}

/// Why `reader` cannot read everything that `writer` may have written; empty when it can.
pub fn differences(reader: &Graph<'_>, writer: &Graph<'_>) -> Vec<Difference> {
    let checker = Checker { reader, writer };
    let root = (reader.root, writer.root);
    match checker.verdicts(root) {
        None => vec![Difference::new(Kind::TooLarge, String::new(), format!("more than {MAX_PAIRS} pairs"))],
        Some(verdicts) => checker.report(root, &verdicts),
    }
}

#[derive(Debug, Clone, Copy)]
struct Checker<'c, 'a> {
    reader: &'c Graph<'a>,
    writer: &'c Graph<'a>,
}

impl Checker<'_, '_> {
    /// Whether each pair fits that has to do with `root`; none when there are too many.
    fn verdicts(&self, root: Pair) -> Option<HashMap<Pair, bool>> {
        let mut places = HashMap::from([(root, 0)]);
        let mut pairs = vec![root];
        let mut verdicts: Vec<Verdict> = vec![Verdict { fits: true, spare: 0, needed_by: Vec::new() }];
        let mut struck = Vec::new();
        let mut next = 0;
        while let Some(pair) = pairs.get(next).copied() {
            let comparison = self.compare(pair);
            for (_, part) in &comparison.parts {
                let place = *places.entry(*part).or_insert_with(|| {
                    pairs.push(*part);
                    verdicts.push(Verdict { fits: true, spare: 0, needed_by: Vec::new() });
                    pairs.len() - 1
                });
                if let Some(verdict) = verdicts.get_mut(place) {
                    verdict.needed_by.push(next);
                }
            }
            if pairs.len() > MAX_PAIRS {
                return None;
            }
            if let Some(verdict) = verdicts.get_mut(next) {
                let is_any = comparison.rule == Rule::Any;
                verdict.spare = if is_any { comparison.parts.len().saturating_sub(1) } else { 0 };
                verdict.fits = comparison.faults.is_empty() && !(is_any && comparison.parts.is_empty());
                if !verdict.fits {
                    struck.push(next);
                }
            }
            next += 1;
        }
        strike(&mut verdicts, struck);
        let fits = verdicts.iter().map(|verdict| verdict.fits);
        Some(pairs.into_iter().zip(fits).collect())
    }

    /// The differences below `root`, in the order of the schema.
    fn report(&self, root: Pair, verdicts: &HashMap<Pair, bool>) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut waiting = vec![(root, Vec::<String>::new())];
        while let Some((pair, path)) = waiting.pop() {
            if verdicts.get(&pair) != Some(&false) || found.len() >= MAX_DIFFERENCES {
                continue;
            }
            let is_record = matches!(self.reader.node(pair.0), Node::Record(_));
            if (is_record && !seen.insert(pair)) || path.len() > MAX_DEPTH {
                continue;
            }
            let comparison = self.compare(pair);
            found.extend(comparison.faults.into_iter().map(|fault| fault.below(&path)));
            if comparison.rule == Rule::Any {
                found.push(self.missing_branch(pair.1).below(&path));
                continue;
            }
            for (place, part) in comparison.parts.into_iter().rev() {
                let mut path = path.clone();
                path.extend(place.split('/').filter(|step| !step.is_empty()).map(str::to_owned));
                if comparison.rule == Rule::All {
                    waiting.push((part, path));
                } else if verdicts.get(&part) == Some(&false) {
                    found.push(self.missing_branch(part.1).below(&path));
                }
            }
        }
        if found.is_empty() && verdicts.get(&root) == Some(&false) {
            let detail = format!("the schemas differ more than {MAX_DEPTH} types deep");
            found.push(Difference::new(Kind::TypeMismatch, String::new(), detail));
        }
        found.truncate(MAX_DIFFERENCES);
        found
    }

    fn missing_branch(&self, writer: Place) -> Difference {
        let detail = format!("reader union lacking writer type: {}", self.writer.node(writer).kind());
        Difference::new(Kind::MissingUnionBranch, String::new(), detail)
    }

    fn compare(&self, (reader, writer): Pair) -> Comparison {
        let (read, wrote) = (self.reader.node(reader), self.writer.node(writer));
        match (read, wrote) {
            (Node::Union(_), Node::Union(branches)) => Comparison {
                parts: numbered(branches.iter().map(|branch| (reader, *branch))),
                rule: Rule::AllBranches,
                ..Comparison::default()
            },
            (_, Node::Union(branches)) => Comparison {
                parts: numbered(branches.iter().map(|branch| (reader, *branch))),
                ..Comparison::default()
            },
            (Node::Union(branches), _) => Comparison {
                parts: numbered(branches.iter().map(|branch| (*branch, writer))),
                rule: Rule::Any,
                ..Comparison::default()
            },
            (Node::Array(read), Node::Array(wrote)) => one_part("items", (*read, *wrote)),
            (Node::Map(read), Node::Map(wrote)) => one_part("values", (*read, *wrote)),
            (Node::Record(read), Node::Record(wrote)) => records(read, wrote),
            (Node::Enum { names, symbols, default }, Node::Enum { names: others, symbols: written, .. }) => {
                let unknown: Vec<&str> =
                    written.iter().filter(|symbol| !symbols.contains(symbol)).map(String::as_str).collect();
                let is_covered =
                    default.is_some_and(|default| symbols.iter().any(|symbol| symbol == default));
                let mut faults = name_fault(names, others);
                if !unknown.is_empty() && !is_covered {
                    let mut unknown = unknown;
                    unknown.sort_unstable();
                    let detail = format!("[{}]", unknown.join(", "));
                    faults.push(Difference::new(Kind::MissingEnumSymbols, "symbols".into(), detail));
                }
                Comparison { faults, ..Comparison::default() }
            }
            (Node::Fixed { names, size }, Node::Fixed { names: others, size: written }) => {
                let mut faults = name_fault(names, others);
                if size != written {
                    let detail = format!("expected: {written}, found: {size}");
                    faults.push(Difference::new(Kind::FixedSizeMismatch, "size".into(), detail));
                }
                Comparison { faults, ..Comparison::default() }
            }
            (Node::Primitive(read), Node::Primitive(wrote)) if promotes(*wrote, *read) => {
                Comparison::default()
            }
            _ => {
                let detail =
                    format!("reader type: {} not compatible with writer type: {}", read.kind(), wrote.kind());
                let fault = Difference::new(Kind::TypeMismatch, String::new(), detail);
                Comparison { faults: vec![fault], ..Comparison::default() }
            }
        }
    }
}

/// Takes the verdict of each pair back that needs one of the struck ones.
fn strike(verdicts: &mut [Verdict], mut struck: Vec<usize>) {
    while let Some(place) = struck.pop() {
        let needed_by = verdicts.get_mut(place).map(|verdict| std::mem::take(&mut verdict.needed_by));
        for other in needed_by.unwrap_or_default() {
            match verdicts.get_mut(other) {
                Some(verdict) if verdict.fits && verdict.spare == 0 => {
                    verdict.fits = false;
                    struck.push(other);
                }
                Some(verdict) => verdict.spare = verdict.spare.saturating_sub(1),
                None => {}
            }
        }
    }
}

fn records(reader: &Record<'_>, writer: &Record<'_>) -> Comparison {
    let mut comparison =
        Comparison { faults: name_fault(&reader.names, &writer.names), ..Comparison::default() };
    for (number, field) in reader.fields.iter().enumerate() {
        let names = std::iter::once(field.name).chain(field.aliases.iter().map(String::as_str));
        let mut written: Vec<(usize, Place)> =
            names.filter_map(|name| writer.field(name)).map(|(place, field)| (place, field.ty)).collect();
        written.sort_unstable();
        written.dedup();
        match written.as_slice() {
            [] if field.has_default => {}
            [] => {
                let fault = Difference::new(
                    Kind::ReaderFieldMissingDefaultValue,
                    format!("fields/{number}"),
                    field.name.to_owned(),
                );
                comparison.faults.push(fault);
            }
            [(_, ty)] => comparison.parts.push((format!("fields/{number}/type"), (field.ty, *ty))),
            _ => {
                let detail = format!("{} matches several fields of the writer", field.name);
                comparison.faults.push(Difference::new(
                    Kind::AmbiguousField,
                    format!("fields/{number}"),
                    detail,
                ));
            }
        }
    }
    comparison
}

/// Names are compared whole, with their namespaces; an alias of the reader may stand for the writer's name.
fn name_fault(reader: &Names, writer: &Names) -> Vec<Difference> {
    if reader.name == writer.name || reader.aliases.contains(&writer.name) {
        return Vec::new();
    }
    let detail = format!("expected: {}", writer.name);
    vec![Difference::new(Kind::NameMismatch, "name".into(), detail)]
}

/// Avro specification, "Schema Resolution": what a primitive may be read as.
fn promotes(writer: Primitive, reader: Primitive) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    writer == reader
        || matches!(
            (writer, reader),
            (Int, Long | Float | Double)
                | (Long, Float | Double)
                | (Float, Double)
                | (String, Bytes)
                | (Bytes, String)
        )
}

fn numbered(pairs: impl Iterator<Item = Pair>) -> Vec<(String, Pair)> {
    pairs.enumerate().map(|(number, pair)| (number.to_string(), pair)).collect()
}

fn one_part(place: &str, pair: Pair) -> Comparison {
    Comparison { parts: vec![(place.to_owned(), pair)], ..Comparison::default() }
}
