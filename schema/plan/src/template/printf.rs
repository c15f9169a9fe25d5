//! Go's `printf`: a format string with verbs, flags, widths, precisions and argument numbers.

use super::MAX_OUTPUT;
use super::format::{Spec, plain, print_value};
use super::value::Value;

// What Go takes for a width or precision.
const MAX_NUMBER: i64 = 1_000_000;

/// Formats; mistakes in the format show in the text, as in Go. Stops once the text is longer than a template may render to.
pub(super) fn printf(format: &[u8], arguments: &[Value<'_>]) -> Vec<u8> {
    let mut printer = Printer {
        format,
        at: 0,
        arguments,
        argument: 0,
        reordered: false,
        is_good: true,
        after_number: false,
        out: Vec::new(),
    };
    while printer.at < format.len() && printer.out.len() <= MAX_OUTPUT {
        let rest = &format[printer.at..];
        let text = rest.iter().position(|byte| *byte == b'%');
        printer
            .out
            .extend_from_slice(&rest[..text.unwrap_or(rest.len())]);
        printer.at += text.unwrap_or(rest.len());
        if text.is_some() {
            printer.at += 1;
            printer.verb();
        }
    }
    printer.extra();
    printer.out
}

struct Printer<'p, 'a> {
    format: &'p [u8],
    at: usize,
    arguments: &'p [Value<'a>],
    /// The next argument.
    argument: usize,
    reordered: bool,
    is_good: bool,
    /// What came last was an argument's number.
    after_number: bool,
    out: Vec<u8>,
}

impl Printer<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn verb(&mut self) {
        self.is_good = true;
        self.after_number = false;
        let mut spec = self.flags();
        self.argument_number();
        self.width(&mut spec);
        self.precision(&mut spec);
        if !self.after_number {
            self.argument_number();
        }
        let Some(verb) = self.character() else {
            self.out.extend_from_slice(b"%!(NOVERB)");
            return;
        };
        if verb == '%' {
            self.out.push(b'%');
        } else if !self.is_good {
            self.out
                .extend_from_slice(format!("%!{verb}(BADINDEX)").as_bytes());
        } else if let Some(value) = self.arguments.get(self.argument) {
            if matches!(verb, 'v' | 'w') {
                spec.go_syntax = std::mem::take(&mut spec.sharp);
                spec.plus = false;
            }
            print_value(&mut self.out, &spec, verb, value);
            self.argument += 1;
        } else {
            self.out
                .extend_from_slice(format!("%!{verb}(MISSING)").as_bytes());
        }
    }

    fn flags(&mut self) -> Spec {
        let mut spec = Spec::default();
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => spec.sharp = true,
                b'0' => spec.zero = true,
                b'+' => spec.plus = true,
                b'-' => spec.minus = true,
                b' ' => spec.space = true,
                _ => break,
            }
            self.at += 1;
        }
        spec
    }

    fn width(&mut self, spec: &mut Spec) {
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.integer_argument() {
                Some(width) => {
                    spec.width = usize::try_from(width.abs()).ok();
                    if width < 0 {
                        spec.minus = true;
                        spec.zero = false;
                    }
                }
                None => self.out.extend_from_slice(b"%!(BADWIDTH)"),
            }
            self.after_number = false;
        } else {
            spec.width = self.number();
            if self.after_number && spec.width.is_some() {
                self.is_good = false;
            }
        }
    }

    fn precision(&mut self, spec: &mut Spec) {
        if self.peek() != Some(b'.') || self.at + 1 >= self.format.len() {
            return;
        }
        self.at += 1;
        if self.after_number {
            self.is_good = false;
        }
        self.argument_number();
        if self.peek() == Some(b'*') {
            self.at += 1;
            spec.precision = self
                .integer_argument()
                .and_then(|precision| usize::try_from(precision).ok());
            if spec.precision.is_none() {
                self.out.extend_from_slice(b"%!(BADPREC)");
            }
            self.after_number = false;
        } else {
            spec.precision = Some(self.number().unwrap_or(0));
        }
    }

    // Digits; one number too large spoils the rest of the format, as in Go.
    fn number(&mut self) -> Option<usize> {
        let start = self.at;
        let mut number = 0;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            if number > MAX_NUMBER {
                self.at = self.format.len();
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
            self.at += 1;
        }
        (self.at > start).then_some(usize::try_from(number).unwrap_or(0))
    }

    fn integer_argument(&mut self) -> Option<i64> {
        let number = match self.arguments.get(self.argument)? {
            Value::Integer(number) => Some(*number),
            Value::Byte(number) => Some(i64::from(*number)),
            _ => None,
        };
        self.argument += 1;
        number.filter(|number| (-MAX_NUMBER..=MAX_NUMBER).contains(number))
    }

    // `[n]`, from 1.
    fn argument_number(&mut self) {
        self.after_number = false;
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = &self.format[self.at + 1..];
        let Some(length) = rest.iter().position(|byte| *byte == b']') else {
            self.is_good = false;
            self.at += 1;
            return;
        };
        self.at += length + 2;
        let digits = std::str::from_utf8(&rest[..length]).unwrap_or_default();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.parse::<usize>() {
            Ok(number @ 1..) if is_number && number <= self.arguments.len() => {
                self.argument = number - 1;
                self.after_number = true;
            }
            _ => self.is_good = false,
        }
    }

    fn character(&mut self) -> Option<char> {
        let rest = self.format.get(self.at..).filter(|rest| !rest.is_empty())?;
        let chunk = rest.utf8_chunks().next()?;
        match chunk.valid().chars().next() {
            Some(c) => {
                self.at += c.len_utf8();
                Some(c)
            }
            None => {
                self.at += 1;
                Some('\u{fffd}')
            }
        }
    }

    fn extra(&mut self) {
        let Some(extra) = self.arguments.get(self.argument..) else {
            return;
        };
        if self.reordered || extra.is_empty() {
            return;
        }
        self.out.extend_from_slice(b"%!(EXTRA ");
        for (i, value) in extra.iter().enumerate() {
            if i > 0 {
                self.out.extend_from_slice(b", ");
            }
            if !value.is_nothing() {
                self.out.extend_from_slice(value.type_name().as_bytes());
                self.out.push(b'=');
            }
            plain(&mut self.out, value);
        }
        self.out.push(b')');
    }
}
