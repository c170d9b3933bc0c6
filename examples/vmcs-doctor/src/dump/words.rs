//! A log, taken apart into words: what each line begins with is dropped, and how lines are broken
//! does not matter, since mail programs and consoles break them anew.

use super::keys::Area;

/// A word of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A heading: `*** Guest State ***`.
    Area(Area),
    /// `key=value`, with or without blanks around the sign.
    Pair(&'a str, &'a str),
    /// Anything else.
    Word(&'a str),
}

/// Takes a text apart.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    // A key whose value is the next word.
    let mut open = None;
    for line in text.lines().map(without_prefix) {
        if let Some(area) = Area::of_heading(line) {
            open = None;
            tokens.push(Token::Area(area));
            continue;
        }
        for word in line.split_whitespace() {
            let word = word.trim_end_matches(',');
            match (open.take(), word.split_once('=')) {
                (Some(key), None) => tokens.push(Token::Pair(key, word)),
                (_, Some(("", ""))) => {
                    // "key = value".
                    if let Some(Token::Word(key)) = tokens.last().copied() {
                        tokens.pop();
                        open = Some(key);
                    }
                }
                (_, Some((key, ""))) => open = Some(key),
                (_, Some((key, value))) => tokens.push(Token::Pair(key, value)),
                (None, None) => tokens.push(Token::Word(word)),
            }
        }
    }
    tokens
}

/// Drops what logs and mail programs put before a line: quotation marks, the level, the syslog
/// header, timestamps, and the name of the program.
fn without_prefix(line: &str) -> &str {
    let mut rest = match line.split_once("kernel: ") {
        Some((_, rest)) => rest,
        None => line,
    };
    loop {
        let trimmed = rest.trim_start().trim_start_matches('>');
        let shorter = ["(XEN)", "kvm_intel:", "KVM:"]
            .iter()
            .find_map(|prefix| trimmed.strip_prefix(prefix))
            .or_else(|| enclosed(trimmed, '[', ']'))
            .or_else(|| enclosed(trimmed, '<', '>'))
            .unwrap_or(trimmed);
        if shorter.len() == rest.len() {
            return rest;
        }
        rest = shorter;
    }
}

/// Drops a group in brackets at the beginning.
fn enclosed(text: &str, open: char, close: char) -> Option<&str> {
    text.strip_prefix(open)?.split_once(close).map(|(_, rest)| rest)
}

/// Reads a hexadecimal number, with or without `0x`.
pub(crate) fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all_digits { u64::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_begins_with_is_dropped() {
        for line in [
            "CR3 = 0x1",
            "[    7.231605] CR3 = 0x1",
            "[28040.962363][T78789] CR3 = 0x1",
            "<3>[1.0] kvm_intel: CR3 = 0x1",
            "Nov 24 05:51:12 host kernel: CR3 = 0x1",
            "(XEN) [2019-11-02 14:09:46] CR3 = 0x1",
            ">>> > [1.0] CR3 = 0x1",
        ] {
            assert_eq!(tokens(line), [Token::Pair("CR3", "0x1")], "{line}");
        }
    }

    #[test]
    fn blanks_and_line_ends_within_a_pair_do_not_matter() {
        for text in ["a=1 b=2", "a = 1, b = 2", "a=\n1 b =\n2", "a= 1\nb =2"] {
            let pairs: Vec<_> =
                tokens(text).into_iter().filter(|token| matches!(token, Token::Pair(..))).collect();
            let last = *pairs.last().unwrap();
            assert_eq!(pairs.first(), Some(&Token::Pair("a", "1")), "{text}");
            assert!(matches!(last, Token::Pair("b" | "", "2")), "{text}: {last:?}");
        }
    }

    #[test]
    fn numbers_may_have_a_prefix() {
        assert_eq!(hex("0x1f"), Some(0x1F));
        assert_eq!(hex("ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(hex("1ffffffffffffffff"), None);
        assert_eq!(hex(""), None);
        assert_eq!(hex("+1"), None);
        assert_eq!(hex("xyz"), None);
    }
}
