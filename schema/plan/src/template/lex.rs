//! Splits a template into text, and actions into tokens, with Go's rules for delimiters and trim markers.

use super::{Place, TemplateError, TemplateErrorKind};

const LEFT: &str = "{{";
const RIGHT: &str = "}}";

/// A stretch of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// What stands between the delimiters.
    Action(Vec<Token<'a>>, Place),
}

/// A token of an action, with its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Space,
    /// `.` alone.
    Dot,
    /// `.name`.
    Field,
    /// `$` or `$name`.
    Variable,
    /// A function, keyword or constant.
    Word,
    /// Starts with a digit, a sign or `.` and a digit.
    Number,
    /// In double quotes.
    Quoted,
    /// In backquotes.
    Raw,
    /// In single quotes.
    Character,
    /// `|`, `(`, `)`, `,`, `=` or `:=`.
    Punctuation,
}

/// Cuts the template at its delimiters; comments vanish, trim markers are applied.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut lexer = Lexer {
        source,
        at: 0,
        counted: 0,
        place: Place { line: 1, column: 1 },
    };
    let mut pieces = Vec::new();
    let mut trim_start = false;
    loop {
        let rest = lexer.rest();
        let (text, more) = match rest.find(LEFT) {
            Some(end) => (&rest[..end], true),
            None => (rest, false),
        };
        lexer.at += text.len();
        let text = if trim_start {
            text.trim_start_matches(is_space)
        } else {
            text
        };
        if !more {
            push_text(&mut pieces, text);
            return Ok(pieces);
        }
        let place = lexer.place();
        lexer.at += LEFT.len();
        let text = if lexer.trim_marker() {
            text.trim_end_matches(is_space)
        } else {
            text
        };
        push_text(&mut pieces, text);
        if lexer.rest().starts_with("/*") {
            trim_start = lexer.comment(place)?;
        } else {
            let tokens;
            (tokens, trim_start) = lexer.action(place)?;
            pieces.push(Piece::Action(tokens, place));
        }
    }
}

fn push_text<'a>(pieces: &mut Vec<Piece<'a>>, text: &'a str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// How far lines and columns are counted, and the place there.
    counted: usize,
    place: Place,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn place(&mut self) -> Place {
        for c in self.source[self.counted..self.at].chars() {
            match c {
                '\n' => {
                    self.place.line += 1;
                    self.place.column = 1;
                }
                _ => self.place.column += 1,
            }
        }
        self.counted = self.at;
        self.place
    }

    // The marker is the dash with one space; without the space it is a sign.
    fn trim_marker(&mut self) -> bool {
        let mut chars = self.rest().chars();
        let found = chars.next() == Some('-') && chars.next().is_some_and(is_space);
        if found {
            self.at += 2;
        }
        found
    }

    // Passes the closing delimiter, if it is here; says whether it trims.
    fn close(&mut self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with(RIGHT) {
            self.at += RIGHT.len();
            return Some(false);
        }
        let marker = rest.strip_prefix(is_space)?.strip_prefix('-')?;
        marker.starts_with(RIGHT).then(|| {
            self.at += 2 + RIGHT.len();
            true
        })
    }

    fn comment(&mut self, open: Place) -> Result<bool, TemplateError> {
        let Some(end) = self.rest()[2..].find("*/") else {
            return Err(syntax(open, "unclosed comment"));
        };
        self.at += 2 + end + 2;
        let closed = self.close();
        closed.ok_or_else(|| syntax(open, "comment ends before closing delimiter"))
    }

    fn action(&mut self, open: Place) -> Result<(Vec<Token<'a>>, bool), TemplateError> {
        let mut tokens = Vec::new();
        loop {
            if let Some(trims) = self.close() {
                return Ok((tokens, trims));
            }
            if self.rest().is_empty() {
                return Err(syntax(open, "unclosed action"));
            }
            tokens.push(self.token()?);
        }
    }

    fn token(&mut self) -> Result<Token<'a>, TemplateError> {
        let place = self.place();
        let rest = self.rest();
        let first = rest.chars().next().expect("the caller found a character");
        let second = rest[first.len_utf8()..].chars().next();
        let (kind, length) = match first {
            c if is_space(c) => (Kind::Space, self.space()),
            '"' => (
                Kind::Quoted,
                quoted(rest, '"').ok_or_else(|| syntax(place, "unterminated quoted string"))?,
            ),
            '\'' => (
                Kind::Character,
                quoted(rest, '\'')
                    .ok_or_else(|| syntax(place, "unterminated character constant"))?,
            ),
            '`' => match rest[1..].find('`') {
                Some(end) => (Kind::Raw, end + 2),
                None => return Err(syntax(place, "unterminated raw quoted string")),
            },
            '.' if !second.is_some_and(|c| c.is_ascii_digit()) => match 1 + word(&rest[1..]) {
                1 => (Kind::Dot, 1),
                length => (Kind::Field, length),
            },
            '$' => (Kind::Variable, 1 + word(&rest[1..])),
            '.' | '+' | '-' | '0'..='9' => (Kind::Number, number(rest)),
            '|' | '(' | ')' | ',' | '=' => (Kind::Punctuation, 1),
            ':' if second == Some('=') => (Kind::Punctuation, 2),
            c if is_word(c) => (Kind::Word, word(rest)),
            c => return Err(syntax(place, format!("unexpected {c:?} in command"))),
        };
        self.at += length;
        if matches!(kind, Kind::Field | Kind::Variable | Kind::Word) {
            self.terminated()?;
        }
        let text = &rest[..length];
        Ok(Token { kind, text, place })
    }

    // A space before a trim marker belongs to the marker.
    fn space(&self) -> usize {
        let run = self
            .rest()
            .find(|c| !is_space(c))
            .unwrap_or(self.rest().len());
        let after = &self.rest()[run..];
        let marker = after
            .strip_prefix('-')
            .is_some_and(|r| r.starts_with(RIGHT));
        if marker && run > 1 { run - 1 } else { run }
    }

    fn terminated(&mut self) -> Result<(), TemplateError> {
        match self.rest().chars().next() {
            None => Ok(()),
            Some(c) if is_space(c) || ".,|:()".contains(c) => Ok(()),
            Some(_) if self.rest().starts_with(RIGHT) => Ok(()),
            Some(c) => Err(syntax(self.place(), format!("bad character {c:?}"))),
        }
    }
}

// Length of a quoted constant with both quotes; none when the line or the template ends first.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn word(rest: &str) -> usize {
    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

// Takes what may belong to a number; whether it is one shows when it is read.
fn number(rest: &str) -> usize {
    let mut previous = ' ';
    for (at, c) in rest.char_indices() {
        let sign = matches!(c, '+' | '-') && (at == 0 || matches!(previous, 'e' | 'E' | 'p' | 'P'));
        if !(sign || c == '.' || is_word(c)) {
            return at;
        }
        previous = c;
    }
    rest.len()
}

pub(super) fn syntax(place: Place, message: impl Into<String>) -> TemplateError {
    place.error(TemplateErrorKind::Syntax, message)
}
