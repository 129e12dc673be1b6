//! Cuts the text of InfluxQL into tokens, as InfluxDB's own scanner does (pure).
//!
//! What InfluxDB takes for a text, a name, a regular expression or a comment must be taken for the same here: what one of them hides
//! from the rules must be hidden from InfluxDB too. So this follows InfluxDB in its oddities (a lone carriage return ends a line, a
//! backslash before `/` always escapes it, a number with a full stop ends before a letter), and where it cannot, it refuses.
//!
//! `/` is a division or begins a regular expression; InfluxDB decides by what it expects. It expects a regular expression only behind
//! `SELECT`, `FROM`, `BY`, `,`, `(`, `=~`, `!~`, and behind the `.` of a source.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word without quotes, as it is written: a keyword or a name.
    Word(String),
    /// A name in double quotes, without them.
    Quoted(String),
    /// A text in single quotes, without them.
    Text(String),
    /// A number or a duration.
    Number,
    /// A regular expression, as InfluxDB compiles it.
    Regex(String),
    /// A value that comes beside the text, `$name`.
    Bound,
    /// Anything else: operators, brackets, `.`, `,` and `;`, each character for itself.
    Mark(char),
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What it is.
    pub token: Token,
    /// Its bytes in the text.
    pub span: Range<usize>,
}

/// Why a text cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at {place}")]
pub struct Unreadable {
    problem: &'static str,
    place: Place,
}

/// Line and character, both from 1, as InfluxDB counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    line: usize,
    character: usize,
}

/// Operators and what else stands for itself.
const MARKS: &str = "+-*/%&|^=!<>~(),;:.";

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, char {}", self.line, self.character)
    }
}

impl Place {
    /// Of the byte at `offset` in `text`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let character = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Self { line: before.matches('\n').count() + 1, character }
    }
}

impl Token {
    /// Whether it is this keyword, in any case.
    pub fn is_word(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

/// All tokens of a text, without blanks and comments.
///
/// # Errors
/// At what InfluxDB would not take either, such as a text without end, and at the little that it would take in more than one way.
pub fn tokens(text: &str) -> Result<Vec<Placed>, Unreadable> {
    let mut cutter = Cutter { text, position: 0, tokens: Vec::new() };
    let is_control = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r');
    if let Some(offset) = text.find(is_control) {
        return Err(cutter.unreadable("control character", offset));
    }
    while let Some(next) = cutter.peek() {
        let start = cutter.position;
        if let Some(token) = cutter.token(next)? {
            cutter.tokens.push(Placed { token, span: start..cutter.position });
        }
    }
    Ok(cutter.tokens)
}

struct Cutter<'a> {
    text: &'a str,
    position: usize,
    tokens: Vec<Placed>,
}

impl<'a> Cutter<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, character: char) {
        self.position += character.len_utf8();
    }

    fn unreadable(&self, problem: &'static str, offset: usize) -> Unreadable {
        Unreadable { problem, place: Place::of(self.text, offset) }
    }

    /// The token that begins here; none where it is a blank or a comment.
    fn token(&mut self, next: char) -> Result<Option<Token>, Unreadable> {
        let rest = self.rest();
        if matches!(next, ' ' | '\t' | '\n' | '\r') {
            self.skip(next);
            return Ok(None);
        }
        if rest.starts_with("--") {
            self.position += rest.find(['\n', '\r']).unwrap_or(rest.len());
            return Ok(None);
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            let length =
                comment.find("*/").ok_or_else(|| self.unreadable("comment without end", self.position))?;
            self.position += length + 4;
            return Ok(None);
        }
        let is_fraction = |rest: &str| rest.chars().nth(1).is_some_and(|digit| digit.is_ascii_digit());
        match next {
            'a'..='z' | 'A'..='Z' | '_' => self.word().map(Token::Word).map(Some),
            '0'..='9' => Ok(Some(self.number())),
            '.' if is_fraction(rest) => Ok(Some(self.number())),
            '"' => self.quoted('"').map(Token::Quoted).map(Some),
            '\'' => self.quoted('\'').map(Token::Text).map(Some),
            '$' => self.bound().map(Some),
            '/' if self.expects_regex()? => self.regex().map(Some),
            _ if MARKS.contains(next) => {
                self.skip(next);
                Ok(Some(Token::Mark(next)))
            }
            _ => Err(self.unreadable("character that InfluxQL does not know", self.position)),
        }
    }

    /// Whether InfluxDB expects a regular expression here.
    fn expects_regex(&self) -> Result<bool, Unreadable> {
        let Some(last) = self.tokens.last() else { return Ok(false) };
        match &last.token {
            Token::Word(word) => {
                Ok(["SELECT", "FROM", "BY"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)))
            }
            Token::Mark('.') if self.is_source() => Ok(true),
            // InfluxDB takes `a./2` for a division, but only where it stands in an expression.
            Token::Mark('.') => Err(self.unreadable("/ behind a full stop outside of FROM", self.position)),
            Token::Mark(mark) => Ok(matches!(mark, ',' | '(' | '~')),
            _ => Ok(false),
        }
    }

    /// Whether the last token, a full stop, stands in a name that follows `FROM` directly or in a list of names.
    fn is_source(&self) -> bool {
        let (mut needs_name, mut follows_stop) = (false, false);
        for placed in self.tokens.iter().rev() {
            match &placed.token {
                Token::Word(_) | Token::Quoted(_) | Token::Regex(_) if needs_name => needs_name = false,
                token if token.is_word("FROM") => return true,
                // One part of a name may be empty, `database..name`.
                Token::Mark('.') if !needs_name || follows_stop => {
                    follows_stop = !needs_name;
                    needs_name = true;
                    continue;
                }
                Token::Mark(',') if !needs_name => needs_name = true,
                _ => return false,
            }
            follows_stop = false;
        }
        false
    }

    /// Letters, digits and `_`.
    fn word(&mut self) -> Result<String, Unreadable> {
        let word: String =
            self.rest().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        self.position += word.len();
        if self.peek() == Some('"') {
            // InfluxDB forgets the word and takes what is quoted.
            return Err(self.unreadable("quotes directly behind a word", self.position));
        }
        Ok(word)
    }

    /// Digits with a full stop, or digits with the unit of a duration.
    fn number(&mut self) -> Token {
        self.skip_while(|c| c.is_ascii_digit());
        if self.peek() == Some('.') {
            self.skip('.');
            self.skip_while(|c| c.is_ascii_digit());
        } else if self.peek().is_some_and(|next| next.is_ascii_alphabetic() || next == 'µ') {
            self.skip_while(|c| c.is_ascii_alphanumeric() || c == 'µ');
        }
        Token::Number
    }

    fn skip_while(&mut self, is_part: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.position += rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    }

    fn bound(&mut self) -> Result<Token, Unreadable> {
        self.skip('$');
        match self.peek() {
            Some('"') => {
                self.quoted('"')?;
            }
            Some('a'..='z' | 'A'..='Z' | '_') => {
                self.word()?;
            }
            _ => return Err(self.unreadable("$ without the name of a parameter", self.position)),
        }
        Ok(Token::Bound)
    }

    fn quoted(&mut self, quote: char) -> Result<String, Unreadable> {
        let start = self.position;
        self.skip(quote);
        let mut content = String::new();
        while let Some(next) = self.peek() {
            self.skip(next);
            match next {
                _ if next == quote => return Ok(content),
                '\n' | '\r' => break,
                '\\' => {
                    let escaped = self.peek();
                    content.push(match escaped {
                        Some('n') => '\n',
                        Some(itself @ ('\\' | '"' | '\'')) => itself,
                        _ => return Err(self.unreadable("escape that InfluxQL does not know", self.position)),
                    });
                    self.position += 1;
                }
                other => content.push(other),
            }
        }
        Err(self.unreadable("quotes without end", start))
    }

    /// Only `\/` is an escape; every other backslash is for the regular expression itself.
    fn regex(&mut self) -> Result<Token, Unreadable> {
        let start = self.position;
        self.skip('/');
        let mut content = String::new();
        while let Some(next) = self.peek() {
            self.skip(next);
            match next {
                '/' => return Ok(Token::Regex(content)),
                '\n' | '\r' => break,
                '\\' if self.peek() == Some('/') => {
                    self.position += 1;
                    content.push('/');
                }
                other => content.push(other),
            }
        }
        Err(self.unreadable("regular expression without end", start))
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
