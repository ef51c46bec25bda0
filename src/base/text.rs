//! Text encodings: paths as fields of a line, percent escapes, terminal colors.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A path as one field of a line. Characters that would end the field and bytes that are not UTF-8 become `%XX`.
pub fn escape(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '%' | '\n' | '\r' | '\t' => {
                    let _ = write!(text, "%{:02X}", c as u32);
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Serializes paths in records, with the same escapes.
pub mod path_text {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::escape(path))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(super::unescape(&text))
    }
}

/// Undoes [`escape`].
pub fn unescape(text: &str) -> PathBuf {
    let bytes = percent_decoded(text);
    #[cfg(unix)]
    return PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes));
    #[cfg(not(unix))]
    return PathBuf::from(String::from_utf8_lossy(&bytes).into_owned());
}

/// Undoes `%XX`.
pub fn percent_decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// Removes ANSI escape sequences, but not line ends: colours and links of rustc.
pub fn without_ansi(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// A text for a terminal, without what moves its cursor or turns lines around: words of servers, checkouts and file names
/// are printed. Line ends and tabs stay.
pub fn printable(text: &str) -> String {
    let is_plain = |c: char| {
        let turns_lines = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        matches!(c, '\n' | '\t') || !(c.is_control() || turns_lines)
    };
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a text consists of this many hexadecimal digits, as [`hex`] writes them.
pub fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_removed() {
        let check = |text: &str, plain: &str| assert_eq!(without_ansi(text), plain);
        check("\u{1b}[1m\u{1b}[38;5;9merror\u{1b}[0m: x", "error: x");
        check("a\u{1b}]8;;http://x\u{7}b", "ab");
        check("a\u{1b}[", "a");
    }

    #[test]
    fn terminals_are_left_alone() {
        let check = |text: &str, shown: &str| assert_eq!(printable(text), shown);
        check("a\tb\nç", "a\tb\nç");
        check("\u{1b}[2K\r\u{9b}1m\u{202e}x", "\\u{1b}[2K\\u{d}\\u{9b}1m\\u{202e}x");
    }

    #[test]
    fn paths_are_escaped_and_unescaped() {
        let check = |path: &str, expected: &str| assert_eq!(escape(Path::new(path)), expected);
        check("/a b/c", "/a b/c");
        check("/a\tb\nc\rd%e", "/a%09b%0Ac%0Dd%25e");
        check("/größe", "/größe");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let path = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff%"));
            assert_eq!(escape(path), "/a%FF%25");
            let table = toml::to_string(&crate::freshness::inputs::FileInput {
                path: path.to_owned(),
                hash: None,
                stat: crate::base::fs::Stat::default(),
            });
            let back: crate::freshness::inputs::FileInput = toml::from_str(&table.unwrap()).unwrap();
            assert_eq!(back.path, path);
        }
    }
}
