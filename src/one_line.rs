//! Texts of users, printed on one line.

use std::fmt::{self, Display, Write};

/// Prints a text so that it stays on its line and is read in its own order: control characters, line separators, and
/// overrides and isolates of the writing direction are escaped, as in `\n` or `\u{1b}`. Other characters stay as they are.
///
/// Users choose names, reasons and the messages of panics. Printed as it is, a line break in one of them would begin a
/// forged line of the log or of a snapshot.
pub(crate) struct OneLine<D>(pub(crate) D);

impl<D: Display> Display for OneLine<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while let Some((at, odd)) = text.char_indices().find(|(_, char)| is_odd(*char)) {
            write!(self.0, "{}{}", &text[..at], odd.escape_default())?;
            text = &text[at + odd.len_utf8()..];
        }
        self.0.write_str(text)
    }
}

fn is_odd(char: char) -> bool {
    let is_separator = matches!(char, '\u{2028}' | '\u{2029}');
    let turns = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char.is_control() || is_separator || turns
}

#[cfg(test)]
mod tests {
    use super::OneLine;

    #[test]
    fn what_ends_a_line_or_hides_what_follows_is_escaped() {
        for (text, printed) in [
            ("a\nb\r\n", r"a\nb\r\n"),
            ("\ttab\u{b}\u{c}", r"\ttab\u{b}\u{c}"),
            ("\u{1b}[2K\u{0}\u{7f}", r"\u{1b}[2K\u{0}\u{7f}"),
            ("\u{85}\u{9b}", r"\u{85}\u{9b}"),
            ("\u{2028}\u{2029}", r"\u{2028}\u{2029}"),
            ("\u{202a}\u{202e}x\u{2066}\u{2069}", r"\u{202a}\u{202e}x\u{2066}\u{2069}"),
        ] {
            assert_eq!(OneLine(text).to_string(), printed);
        }
    }

    #[test]
    fn all_else_stays_as_it_is() {
        for text in ["", "jobs", r"C:\new 'quoted' \u{1}", "größer 漢字 🦀 e\u{301}", "שלום\u{200f} مرحبا"]
        {
            assert_eq!(OneLine(text).to_string(), text);
        }
    }

    #[test]
    fn what_was_escaped_before_stays_as_it_is() {
        assert_eq!(OneLine(OneLine("a\n\u{1}")).to_string(), r"a\n\u{1}");
    }
}
