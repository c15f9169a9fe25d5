//! Go's quoted strings and characters, for `%q`.

/// The text in quotes, with everything escaped that does not print; invalid bytes become `\x` escapes.
pub(super) fn quoted(text: &[u8], quote: char, ascii_only: bool) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_escaped(&mut quoted, c, quote, ascii_only);
        }
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted.push(quote);
    quoted
}

fn push_escaped(text: &mut String, c: char, quote: char, ascii_only: bool) {
    match c {
        '\\' => text.push_str("\\\\"),
        c if c == quote => {
            text.push('\\');
            text.push(c);
        }
        c if is_printable(c) && (c.is_ascii() || !ascii_only) => text.push(c),
        '\u{7}' => text.push_str("\\a"),
        '\u{8}' => text.push_str("\\b"),
        '\u{c}' => text.push_str("\\f"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\u{b}' => text.push_str("\\v"),
        c if c < ' ' || c == '\u{7f}' => text.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if u32::from(c) < 0x10000 => text.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => text.push_str(&format!("\\U{:08x}", u32::from(c))),
    }
}

/// Whether the text can stand between backquotes.
pub(super) fn fits_backquotes(text: &[u8]) -> bool {
    let fits = |c: char| match c {
        '\t' => true,
        '`' | '\u{feff}' | '\u{fffd}' => false,
        c => c >= ' ' && c != '\u{7f}',
    };
    std::str::from_utf8(text).is_ok_and(|text| text.chars().all(fits))
}

/// Letters, marks, numbers, punctuation, symbols and the ordinary space.
pub(super) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    // Behind another character a mark counts as printable, as in Go.
    let text = String::from_iter(['a', c]);
    text.escape_debug().nth(1) == Some(c)
}
