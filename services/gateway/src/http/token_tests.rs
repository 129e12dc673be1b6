use proptest::prelude::*;

use super::*;

fn all(text: &str) -> Vec<Token> {
    tokens(text).unwrap().into_iter().map(|placed| placed.token).collect()
}

fn word(text: &str) -> Token {
    Token::Word(text.into())
}

/// What a text looks like to the rules: words and marks as they are, the rest by its first letter.
fn outline(text: &str) -> String {
    let outlined = all(text).into_iter().map(|token| match token {
        Token::Word(word) => word,
        Token::Quoted(name) => format!("Q{name}"),
        Token::Text(text) => format!("T{text}"),
        Token::Number => "N".to_owned(),
        Token::Regex(regex) => format!("R{regex}"),
        Token::Bound => "B".to_owned(),
        Token::Mark(mark) => mark.to_string(),
    });
    outlined.collect::<Vec<_>>().join(" ")
}

#[test]
fn texts_names_and_comments_hide_what_is_in_them() {
    let cases = [
        (r#"SELECT "a;b" FROM 'x;'"#, "SELECT Qa;b FROM Tx;"),
        (r#"'it\'s' "a\"b" "a\\" 'x\ny'"#, "Tit's Qa\"b Qa\\ Tx\ny"),
        ("a /* ; -- */ b -- ; c\n;d", "a b ; d"),
        ("a/**/b /***/ c /*/ x */ d", "a b c d"),
        // A lone carriage return ends a line.
        ("a -- x\r; b", "a ; b"),
    ];
    for (text, expected) in cases {
        assert_eq!(outline(text), expected, "{text}");
    }
}

#[test]
fn a_number_ends_where_influxdb_ends_it() {
    let cases = [
        ("1.5INTO x", "N INTO x"),
        ("1.INTO", "N INTO"),
        ("1INTO", "N"),
        ("24h 10µs 1h30m .5 2_x", "N N N N N _x"),
        ("a.5", "a N"),
        ("1..5", "N N"),
    ];
    for (text, expected) in cases {
        assert_eq!(outline(text), expected, "{text}");
    }
}

#[test]
fn a_slash_divides_or_begins_a_regular_expression_as_for_influxdb() {
    let cases = [
        ("SELECT /a;b/ FROM /c/", "SELECT Ra;b FROM Rc"),
        ("SELECT a / 2 ; b / 3", "SELECT a / N ; b / N"),
        ("SELECT count(a)/2, /b/", "SELECT count ( a ) / N , Rb"),
        ("a =~ /x\\/y/ AND b !~ /\\\\/; c/", "a = ~ Rx/y AND b ! ~ R\\/; c"),
        ("FROM a.b./c/, d./e/, f../g/", "FROM a . b . Rc , d . Re , f . . Rg"),
        ("GROUP BY time(1m), /t/", "GROUP BY time ( N ) , Rt"),
        ("1./2 'x'/2 \"y\"/2 $b/2 key/2", "N / N Tx / N Qy / N B / N key / N"),
    ];
    for (text, expected) in cases {
        assert_eq!(outline(text), expected, "{text}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let cases = [
        ("SELECT c./2 FROM m", "full stop"),
        ("SELECT a FROM m WHERE c./2 > 1", "full stop"),
        ("SELECT a FROM (SELECT b FROM c), d./x/", "full stop"),
        ("SELECT a FROM b\"c\"", "behind a word"),
        ("SELECT $b\"c\"", "behind a word"),
        ("SELECT a\0; DROP", "control"),
        ("SELECT 'a", "without end"),
        ("SELECT 'a\n'", "without end"),
        ("SELECT 'a\r'", "without end"),
        ("SELECT \"a\\x\"", "escape"),
        ("SELECT /a", "without end"),
        ("SELECT a /* b", "without end"),
        ("SELECT a /*/", "without end"),
        ("SELECT é", "does not know"),
        ("SELECT $", "parameter"),
    ];
    for (text, expected) in cases {
        let problem = tokens(text).unwrap_err().to_string();
        assert!(problem.contains(expected) && problem.contains("line 1, char"), "{text}: {problem}");
    }
}

#[test]
fn a_place_is_counted_as_influxdb_counts() {
    assert_eq!(Place::of("ab\ncéd", 7).to_string(), "line 2, char 4");
    assert_eq!(Place::of("ab", 0).to_string(), "line 1, char 1");
}

proptest! {
    /// Whatever comes: no panic, and what is found stands where it is said to stand, in order.
    #[test]
    fn tokens_cover_the_text_in_order(text in r#"[a-zA-Z0-9 ._;,/*'"$=~()\\\n\r-]{0,60}"#) {
        let Ok(tokens) = tokens(&text) else { return Ok(()) };
        let mut end = 0;
        for placed in tokens {
            prop_assert!(placed.span.start >= end && placed.span.end > placed.span.start);
            let written = &text[placed.span.clone()];
            if let Token::Word(word) = &placed.token {
                prop_assert_eq!(word, written);
            }
            end = placed.span.end;
        }
    }

    /// No text or name, however it is made, shows what is inside of it.
    #[test]
    fn a_quoted_name_stays_one_token(name in "(\\P{Cc}|\n){0,30}") {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let expected = vec![word("FROM"), Token::Quoted(name), Token::Mark(';')];
        prop_assert_eq!(all(&format!("FROM \"{quoted}\";")), expected);
    }
}
