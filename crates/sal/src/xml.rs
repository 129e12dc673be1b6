//! One interface file as a tree of elements that know their line.

use std::borrow::Cow;

use roxmltree::{Document, Error as XmlError, Node};

use crate::error::{InterfaceError, Place};

/// Interface files nest five deep. The parser calls itself once per level and would run out of stack.
const MAX_DEPTH: usize = 64;

/// An interface file that is well-formed XML.
pub(crate) struct XmlFile<'a> {
    name: &'a str,
    document: Document<'a>,
}

impl<'a> XmlFile<'a> {
    /// Parses `text`; `name` is how messages call the file.
    pub(crate) fn parse(name: &'a str, text: &'a str) -> Result<Self, InterfaceError> {
        if let Some(offset) = too_deep(text) {
            return Err(InterfaceError::Malformed {
                file: name.to_owned(),
                line: line_at(text, offset),
                problem: format!("elements nest more than {MAX_DEPTH} deep"),
            });
        }
        match Document::parse(text) {
            Ok(document) => Ok(XmlFile { name, document }),
            Err(error) => Err(malformed(name, text, &error)),
        }
    }

    /// The root element, which must be one of `expected`; the first of them stands in the message.
    pub(crate) fn root(&self, expected: &[&'static str]) -> Result<Node<'_, 'a>, InterfaceError> {
        let root = self.document.root_element();
        if expected.contains(&root.tag_name().name()) {
            return Ok(root);
        }
        Err(InterfaceError::UnexpectedElement {
            at: self.place(root),
            expected: expected.first().copied().unwrap_or_default(),
        })
    }

    /// Where a node begins, for messages. Counts lines from the top of the file, so only for a node in trouble.
    pub(crate) fn place(&self, node: Node<'_, '_>) -> Box<Place> {
        Box::new(Place {
            file: self.name.to_owned(),
            line: line_at(self.document.input_text(), node.range().start),
            element: node.tag_name().name().to_owned(),
        })
    }

    /// Trimmed text of a child that must be there and not be empty.
    pub(crate) fn required(&self, node: Node<'_, 'a>, child: &'static str) -> Result<String, InterfaceError> {
        let found = text_of(node, child).unwrap_or_default();
        let trimmed = found.trim();
        if trimmed.is_empty() {
            return Err(InterfaceError::MissingElement { at: self.place(node), missing: child });
        }
        Ok(trimmed.to_owned())
    }

    /// Text of a child that must be there and be a name that Avro and Kafka carry.
    pub(crate) fn required_name(
        &self,
        node: Node<'_, 'a>,
        child: &'static str,
    ) -> Result<String, InterfaceError> {
        let name = self.required(node, child)?;
        if is_name(&name) {
            return Ok(name);
        }
        Err(InterfaceError::InvalidName { at: self.place(node), name })
    }
}

/// Child elements of a node.
pub(crate) fn elements<'d, 'a>(node: Node<'d, 'a>) -> impl Iterator<Item = Node<'d, 'a>> {
    node.children().filter(Node::is_element)
}

/// Text of the first child of that name, as it stands in the file; `None` if there is no such child or no
/// text in it. Comments inside the text are left out.
pub(crate) fn text_of<'d>(node: Node<'d, '_>, child: &str) -> Option<Cow<'d, str>> {
    all_text(elements(node).find(|element| element.tag_name().name() == child)?)
}

/// Text of an element, as it stands in the file; `None` if there is none. Comments inside it are left out.
pub(crate) fn all_text<'d>(element: Node<'d, '_>) -> Option<Cow<'d, str>> {
    let mut texts = element.children().filter(Node::is_text).filter_map(|node| node.text());
    let first = texts.next()?;
    let mut text = Cow::Borrowed(first);
    for more in texts {
        text.to_mut().push_str(more);
    }
    (!text.is_empty()).then_some(text)
}

/// A name in the sense of Avro.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn malformed(name: &str, text: &str, error: &XmlError) -> InterfaceError {
    // The parser gives no position for a text that ends too early: name the last line.
    let line = match error {
        XmlError::NoRootNode | XmlError::UnclosedRootNode | XmlError::UnexpectedEndOfStream => {
            line_at(text, text.trim_end().len())
        }
        _ => error.pos().row,
    };
    InterfaceError::Malformed { file: name.to_owned(), line, problem: error.to_string() }
}

/// Line of a byte, from 1.
pub(crate) fn line_at(text: &str, offset: usize) -> u32 {
    let before = text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
}

/// Offset of the first element that lies deeper than [`MAX_DEPTH`]. Ends at the first thing that is not
/// well-formed, where the parser ends too.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let start = at + text.get(at..)?.find('<')?;
        let rest = text.get(start..)?;
        let length = if rest.starts_with("<!--") {
            end_of(rest, "-->")?
        } else if rest.starts_with("<![CDATA[") {
            end_of(rest, "]]>")?
        } else if rest.starts_with("<?") {
            end_of(rest, "?>")?
        } else if rest.starts_with("</") {
            depth = depth.saturating_sub(1);
            end_of(rest, ">")?
        } else {
            depth += 1;
            if depth > MAX_DEPTH {
                return Some(start);
            }
            let length = end_of_tag(rest)?;
            if rest.get(..length)?.ends_with("/>") {
                depth -= 1;
            }
            length
        };
        at = start + length;
    }
}

fn end_of(rest: &str, mark: &str) -> Option<usize> {
    rest.find(mark).map(|at| at + mark.len())
}

/// Length of a start tag; a `>` inside an attribute does not end it.
fn end_of_tag(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if byte == b'>' => return Some(at + 1),
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(xml: &str) -> Option<String> {
        let file = XmlFile::parse("a.xml", xml).unwrap();
        let root = file.root(&["a"]).unwrap();
        text_of(root, "b").map(Cow::into_owned)
    }

    fn problem(xml: &str) -> String {
        XmlFile::parse("a.xml", xml).err().unwrap().to_string()
    }

    #[test]
    fn text_is_taken_as_it_stands() {
        assert_eq!(text("<a><b> x\n y </b></a>").as_deref(), Some(" x\n y "));
        assert_eq!(text("<a><b>1 &lt; 2 &#176;</b></a>").as_deref(), Some("1 < 2 °"));
        assert_eq!(text("<a><b><![CDATA[<x>]]></b></a>").as_deref(), Some("<x>"));
    }

    #[test]
    fn text_goes_on_after_a_comment() {
        assert_eq!(text("<a><b>one<!-- no --> two</b></a>").as_deref(), Some("one two"));
    }

    #[test]
    fn an_empty_and_an_absent_element_have_no_text() {
        for xml in ["<a><b/></a>", "<a><b></b></a>", "<a><b><!-- x --></b></a>", "<a/>"] {
            assert_eq!(text(xml), None, "{xml}");
        }
    }

    #[test]
    fn malformed_xml_names_the_line() {
        assert!(problem("<a>\n<b>\n</c>\n</a>").starts_with("a.xml:3: not well-formed XML: "));
        assert!(problem("<a>\n<b>\n").starts_with("a.xml:2: not well-formed XML: "));
        assert!(problem("").starts_with("a.xml:1: not well-formed XML: "));
        assert!(problem("<a>\n&nbsp;</a>").starts_with("a.xml:2: not well-formed XML: unknown entity"));
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
        let deep = format!("<a>\n{}", "<b>".repeat(1_000_000));
        assert!(problem(&deep).starts_with("a.xml:2: not well-formed XML: elements nest more than 64 deep"));
    }

    #[test]
    fn many_siblings_are_not_deep() {
        let many = "<b/><!-- <x> --><?p <x> ?><b c='>'>x</b><b d=\"/>\"></b><![CDATA[<x><x>]]>".repeat(100);
        assert!(XmlFile::parse("a.xml", &format!("<a>{many}</a>")).is_ok());
    }

    #[test]
    fn names_are_those_of_avro() {
        for (name, good) in [("logevent_x1", true), ("_a", true), ("1a", false), ("a-b", false), ("", false)]
        {
            assert_eq!(is_name(name), good, "{name}");
        }
        assert!(!is_name("é"));
    }
}
