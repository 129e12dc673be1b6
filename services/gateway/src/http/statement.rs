//! What the statements of a query do, and what they read (pure).
//!
//! A statement is understood as far as the rules need it: its kind, the measurements and databases that it names, whether it writes. The rest is
//! InfluxDB's to judge. What is not known to only read counts as writing.

use std::ops::Range;

use super::token::{Place, Placed, Token, Unreadable, tokens};

/// Brackets inside each other; InfluxDB reads them by recursion, without a bound of its own.
const MAX_DEPTH: usize = 100;

/// Why a query is not understood, in InfluxDB's manner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// It cannot be cut into tokens.
    #[error("error parsing query: {0}")]
    Unreadable(#[from] Unreadable),
    /// A statement begins with something else than a statement does.
    #[error("error parsing query: found {found}, expected SELECT, SHOW, EXPLAIN at {place}")]
    NotAStatement {
        /// What stands there.
        found: String,
        /// Where.
        place: Place,
    },
    /// Too many brackets inside each other.
    #[error("error parsing query: more than {MAX_DEPTH} brackets inside each other at {0}")]
    TooDeep(Place),
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `SELECT` without `INTO`, or `EXPLAIN` of one.
    Select,
    /// `SHOW DATABASES`
    Databases,
    /// `SHOW MEASUREMENTS`
    Measurements(Measurements),
    /// `SHOW` of something that measurements have: fields, tags, series.
    OfMeasurements,
    /// `SHOW RETENTION POLICIES`
    Policies,
    /// `SHOW` of something that belongs to the whole server, such as users or queries.
    Server,
    /// Anything that is not only reading.
    Write,
}

/// What stands in `SHOW MEASUREMENTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurements {
    /// Where `ON` would stand, or the policy behind its database.
    pub on_end: usize,
    /// Parts of the name behind `ON`.
    pub on_parts: usize,
    /// `WITH MEASUREMENT`, where it stands.
    pub filter: Option<Name>,
}

/// A name of a measurement or database, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// It is this.
    Is(String),
    /// All that match.
    Matches(String),
    /// Given in a way that is not understood, or beside the text.
    Unclear,
}

/// What a statement reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its database; none: the one of the request.
    pub database: Option<String>,
    /// Its measurement.
    pub measurement: Name,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it does.
    pub kind: Kind,
    /// Its first words, for messages.
    pub words: String,
    /// What it reads, where it says so.
    pub sources: Vec<Source>,
    /// The database behind `ON`, where there is one.
    pub on: Option<Name>,
}

/// The statements of a query.
///
/// # Errors
/// When it is not InfluxQL, as far as that is looked at here.
pub fn statements(text: &str) -> Result<Vec<Statement>, SyntaxError> {
    let tokens = tokens(text)?;
    let is_end = |placed: &Placed| placed.token == Token::Mark(';');
    let parts = tokens.split(is_end).filter(|part| !part.is_empty());
    parts.map(|part| Reader { text, tokens: part }.statement()).collect()
}

/// The beginning of every name that a regular expression can match, as far as it is certain: empty where nothing is.
pub fn literal_beginning(regex: &str) -> String {
    let mut literal = String::new();
    let Some(pattern) = regex.strip_prefix('^').filter(|pattern| !pattern.contains('|')) else {
        return literal;
    };
    let mut characters = pattern.chars().peekable();
    while let Some(next) = characters.next() {
        let character = match next {
            '\\' => match characters.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => escaped,
                _ => break,
            },
            plain if plain.is_ascii_alphanumeric() || matches!(plain, '_' | '-' | '/' | ' ') => plain,
            _ => break,
        };
        // It may be missing where it is repeated.
        if matches!(characters.peek(), Some('*' | '?' | '{')) {
            break;
        }
        literal.push(character);
    }
    literal
}

struct Reader<'a> {
    text: &'a str,
    tokens: &'a [Placed],
}

impl Reader<'_> {
    fn token(&self, index: usize) -> Option<&Token> {
        self.tokens.get(index).map(|placed| &placed.token)
    }

    fn is_word(&self, index: usize, keyword: &str) -> bool {
        self.token(index).is_some_and(|token| token.is_word(keyword))
    }

    fn is_mark(&self, index: usize, mark: char) -> bool {
        self.token(index) == Some(&Token::Mark(mark))
    }

    fn span(&self, index: usize) -> Range<usize> {
        self.tokens.get(index).map_or(0..0, |placed| placed.span.clone())
    }

    /// The word at `index` in capitals; empty where there is none.
    fn word(&self, index: usize) -> String {
        match self.token(index) {
            Some(Token::Word(word)) => word.to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    fn statement(&self) -> Result<Statement, SyntaxError> {
        let first = self.word(0);
        let kind = match first.as_str() {
            "SELECT" => Kind::Select,
            "EXPLAIN" => self.explained(),
            "SHOW" => self.shown(),
            "ALTER" | "CREATE" | "DELETE" | "DROP" | "GRANT" | "INSERT" | "KILL" | "REVOKE" | "SET" => {
                Kind::Write
            }
            _ => {
                let span = self.span(0);
                let found = self.text.get(span.clone()).unwrap_or_default();
                let found = found.chars().take(50).collect();
                return Err(SyntaxError::NotAStatement { found, place: Place::of(self.text, span.start) });
            }
        };
        let writes_result = self.tokens.iter().any(|placed| placed.token.is_word("INTO"));
        if kind == Kind::Write || (kind == Kind::Select && writes_result) {
            let second = if kind == Kind::Select { "INTO".to_owned() } else { self.word(1) };
            return Ok(Statement {
                kind: Kind::Write,
                words: format!("{first} {second}").trim().to_owned(),
                sources: Vec::new(),
                on: None,
            });
        }
        let on = self.on().and_then(|(parts, _)| parts.into_iter().next());
        let words = if kind == Kind::Select { first } else { format!("{first} {}", self.word(1)) };
        Ok(Statement { kind, words, sources: self.sources()?, on })
    }

    fn explained(&self) -> Kind {
        let mut index = 1;
        while self.is_word(index, "ANALYZE") || self.is_word(index, "VERBOSE") {
            index += 1;
        }
        if self.is_word(index, "SELECT") { Kind::Select } else { Kind::Write }
    }

    fn shown(&self) -> Kind {
        let (second, third) = (self.word(1), self.word(2));
        match (second.as_str(), third.as_str()) {
            ("DATABASES", _) => Kind::Databases,
            ("MEASUREMENTS", _) => Kind::Measurements(self.measurements()),
            ("RETENTION", "POLICIES") => Kind::Policies,
            ("FIELD" | "TAG", _) | ("SERIES" | "MEASUREMENT", _) => Kind::OfMeasurements,
            _ => Kind::Server,
        }
    }

    /// The parts of the name behind `ON` in a `SHOW`, and the place behind it.
    fn on(&self) -> Option<(Vec<Name>, usize)> {
        let index = (1..6).find(|index| self.is_word(*index, "ON")).filter(|_| self.is_word(0, "SHOW"))?;
        let (parts, end) = self.name(index + 1);
        Some((parts, end))
    }

    fn measurements(&self) -> Measurements {
        let (parts, end) = self.on().unwrap_or((Vec::new(), 2));
        let is_filtered = self.is_word(end, "WITH") && self.is_word(end + 1, "MEASUREMENT");
        let filter =
            is_filtered.then(|| match (self.token(end + 2), self.token(end + 3), self.token(end + 4)) {
                (Some(Token::Mark('=')), Some(Token::Word(name) | Token::Quoted(name)), _) => {
                    Name::Is(name.clone())
                }
                (Some(Token::Mark('=')), Some(Token::Mark('~')), Some(Token::Regex(regex))) => {
                    Name::Matches(regex.clone())
                }
                _ => Name::Unclear,
            });
        // A filter that stands anywhere else is not understood.
        let stands_elsewhere =
            filter.is_none() && self.tokens.iter().any(|placed| placed.token.is_word("WITH"));
        let filter = if stands_elsewhere { Some(Name::Unclear) } else { filter };
        Measurements { on_end: self.span(end - 1).end, on_parts: parts.len(), filter }
    }

    /// Everything behind each `FROM`.
    fn sources(&self) -> Result<Vec<Source>, SyntaxError> {
        let mut sources = Vec::new();
        // For each open bracket, whether it is a source.
        let mut brackets = Vec::new();
        let mut index = 0;
        while let Some(token) = self.token(index) {
            index += 1;
            let is_list = match token {
                Token::Mark('(') => {
                    brackets.push(false);
                    false
                }
                Token::Mark(')') => brackets.pop() == Some(true) && self.is_mark(index, ','),
                token => token.is_word("FROM"),
            };
            if brackets.len() > MAX_DEPTH {
                return Err(SyntaxError::TooDeep(Place::of(self.text, self.span(index).start)));
            }
            if is_list {
                index = self.list(index, &mut sources);
                if self.is_mark(index, '(') {
                    brackets.push(true);
                    index += 1;
                }
            }
        }
        Ok(sources)
    }

    /// Takes the names of a list, and gives the place where it ends or a bracket opens.
    fn list(&self, start: usize, sources: &mut Vec<Source>) -> usize {
        let mut index = if self.is_mark(start, ',') { start + 1 } else { start };
        while !self.is_mark(index, '(') {
            let (mut parts, end) = self.name(index);
            let last = parts.pop().unwrap_or(Name::Unclear);
            let are_clear = parts.len() < 3 && parts.iter().all(|part| matches!(part, Name::Is(_)));
            let database = match parts.as_slice() {
                [Name::Is(database), _] if !database.is_empty() => Some(database.clone()),
                _ => None,
            };
            sources.push(Source { database, measurement: if are_clear { last } else { Name::Unclear } });
            index = end;
            if !self.is_mark(index, ',') {
                break;
            }
            index += 1;
        }
        index
    }

    /// The parts of a name, `database.policy.measurement` or fewer of them, and the place behind it.
    fn name(&self, start: usize) -> (Vec<Name>, usize) {
        let mut parts = Vec::new();
        let mut index = start;
        loop {
            let part = match self.token(index) {
                Some(Token::Word(name) | Token::Quoted(name)) => Name::Is(name.clone()),
                Some(Token::Regex(regex)) => Name::Matches(regex.clone()),
                Some(Token::Mark('.')) if index > start => {
                    // An empty part.
                    parts.push(Name::Is(String::new()));
                    index += 1;
                    continue;
                }
                Some(Token::Bound | Token::Mark('*')) => Name::Unclear,
                _ => {
                    parts.push(Name::Unclear);
                    return (parts, index);
                }
            };
            parts.push(part);
            index += 1;
            if !self.is_mark(index, '.') {
                return (parts, index);
            }
            index += 1;
        }
    }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
