//! Words from files and boards, made harmless: a name may hold what a terminal obeys, or what makes one line look like two.

/// What stands for a character that is not shown.
const REPLACEMENT: char = '\u{FFFD}';

/// Whether a terminal would do something else with a character than show it: controls, changes of the writing direction, line and
/// paragraph separators, and characters that show nothing.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}'
                | '\u{061C}'
                | '\u{180E}'
                | '\u{200B}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

/// `text` as one line without anything that a terminal obeys.
pub fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    // Line ends become one space, other controls stay visible.
    for part in text.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(part.chars().map(shown));
    }
    line
}

/// `text` as a line whose spaces stay as they are.
pub fn line(text: &str) -> String {
    if text.contains(['\n', '\r']) { plain(text) } else { text.chars().map(shown).collect() }
}

fn shown(character: char) -> char {
    match character {
        '\t' => ' ',
        obeyed if is_obeyed(obeyed) => REPLACEMENT,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let hostile = "nice\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{202e}no\u{2066}\u{200b}x";
        let shown = line(hostile);
        assert_eq!(shown, "nice�]0;owned��[2J�31m��no��x");
        assert_eq!(line("a  b\tc"), "a  b c");
        assert_eq!(line("one\n| two |\r\nthree"), "one | two | three");
        assert_eq!(line("zwölf 十二 é 👍🏽"), "zwölf 十二 é 👍🏽");
    }
}
