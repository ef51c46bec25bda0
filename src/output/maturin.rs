//! The output of maturin: its own lines, and the cargo commands that it logs.

use std::path::Path;

/// The line with which maturin reports a failure.
pub const FAILED: &str = "💥 maturin failed";

/// Whether a line comes from maturin, and not from cargo or rustc.
pub fn is_own(line: &str) -> bool {
    let is_log = line.contains(" maturin::") && [" DEBUG ", " INFO "].iter().any(|level| line.contains(level));
    is_log || line.chars().next().is_some_and(|c| c as u32 > 0x2500)
}

/// A command as maturin logs it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub removed: Vec<String>,
    pub set: Vec<(String, String)>,
    pub words: Vec<String>,
}

/// The value of `RUST_LOG` that makes maturin log which `cargo rustc` it runs.
pub const LOG: &str = "maturin::compile=debug";

/// The message format that maturin requests from cargo.
pub const TEXT_MESSAGES: &str = "json-render-diagnostics";

impl Call {
    /// Reads `… Running env -u A B="c" "cargo" "rustc" …`, the debug format of Rust's `Command`.
    pub fn parse(line: &str) -> Option<Self> {
        let (_, command) = line.split_once("Running ")?;
        let mut call = Self::default();
        let mut rest = command.trim();
        if let Some(after) = rest.strip_prefix("cd ") {
            rest = after.split_once(" && ")?.1.trim_start();
        }
        rest = rest.strip_prefix("env ").unwrap_or(rest);
        while let Some(after) = rest.strip_prefix("-u ") {
            let (name, after) = after.split_once(' ')?;
            call.removed.push(name.to_owned());
            rest = after.trim_start();
        }
        while !rest.is_empty() {
            if let Some(quoted) = rest.strip_prefix('"') {
                let (word, after) = unquote(quoted)?;
                call.words.push(word);
                rest = after.trim_start();
            } else if call.words.is_empty() {
                let (name, quoted) = rest.split_once("=\"")?;
                let (value, after) = unquote(quoted)?;
                call.set.push((name.to_owned(), value));
                rest = after.trim_start();
            } else {
                return None;
            }
        }
        let is_cargo = call
            .words
            .first()
            .is_some_and(|program| Path::new(program).file_stem().is_some_and(|stem| stem == "cargo"));
        (is_cargo && call.words.iter().any(|word| word == TEXT_MESSAGES)).then_some(call)
    }
}

/// The unescaped text before the closing quote, and the text after it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return Some((word, &text[place + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => word.push('\n'),
                'r' => word.push('\r'),
                't' => word.push('\t'),
                '0' => word.push('\0'),
                'u' => {
                    let (code, _) = text[place + 2..].strip_prefix('{')?.split_once('}')?;
                    word.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                    for _ in 0..code.len() + 2 {
                        chars.next();
                    }
                }
                escaped => word.push(escaped),
            },
            c => word.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is removed from the environment, what is set there, and the command itself.
    type Parts<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

    #[test]
    fn commands_as_maturin_logs_them() {
        let check = |line: &str, expected: Option<Parts>| {
            let expected = expected.map(|(removed, set, words)| Call {
                removed: removed.iter().map(|&text| text.to_owned()).collect(),
                set: set.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
                words: words.iter().map(|&text| text.to_owned()).collect(),
            });
            assert_eq!(Call::parse(line), expected, "{line}");
        };
        let words: &[&str] = &["cargo", "rustc", "--message-format", TEXT_MESSAGES, "--manifest-path", "/a b/\"ö\"\n"];
        let text =
            r#""cargo" "rustc" "--message-format" "json-render-diagnostics" "--manifest-path" "/a b/\"\u{f6}\"\n""#;
        check(&format!("DEBUG Running {text}"), Some((&[], &[], words)));
        let env = format!(r#"DEBUG x: Running env -u CARGO -u B PYO3_PYTHON="/v/bin/python" {text}"#);
        check(&env, Some((&["CARGO", "B"], &[("PYO3_PYTHON", "/v/bin/python")], words)));
        check(&format!(r#"DEBUG Running cd "/x" && A="b" {text}"#), Some((&[], &[("A", "b")], words)));
        check(r#"DEBUG Running "rustc" "-vV""#, None);
        check(r#"DEBUG Running "cargo" "unclosed"#, None);
        check("Running `rustc`", None);
    }
}
