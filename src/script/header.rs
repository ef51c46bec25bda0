//! Parses the comments at the top of a script: its marker, its part of the manifest, its extra inputs. The Rust code
//! below them is parsed in [`super::parse`].
//!
//! ```text
//! // rustimport:pyo3            the marker, with a template
//! //: [dependencies]            lines of Cargo.toml
//! //: rand = "0.8"
//! //d: data/**/*.json           more files to watch, relative to the script
//! ```

use std::collections::HashMap;
use std::path::Path;

use crate::base::error::{Error, Result};

/// Selects the code that is generated for a script. `// rustimport` alone selects no template.
///
/// What a template decides is in the methods below, in the `match` of `Script::root`, and in
/// `python/rustimport/_wheel.py` (the requirements of a wheel).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// A module with every `#[pyfunction]` and `#[pyclass]`.
    Pyo3,
    /// A module with every `extern "C"` function, called through cffi.
    Cffi,
}

impl Template {
    const ALL: [Self; 2] = [Self::Pyo3, Self::Cffi];

    /// Whether the generated code depends on pyo3.
    pub fn uses_pyo3(self) -> bool {
        match self {
            Self::Pyo3 | Self::Cffi => true,
        }
    }

    /// The oldest pyo3 that accepts the generated module, as 0.N.
    pub fn oldest_pyo3(self) -> u64 {
        match self {
            Self::Pyo3 => 22,
            Self::Cffi => 23,
        }
    }

    /// Whether crates may have it, and scripts may become crates with it.
    pub fn is_for_crates(self) -> bool {
        match self {
            Self::Pyo3 => true,
            Self::Cffi => false,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Pyo3 => "pyo3",
            Self::Cffi => "cffi",
        }
    }
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Header {
    /// Whether the first non-empty line is a comment with the word `rustimport`.
    pub marked: bool,
    pub template: Option<Template>,
    /// The `//:` lines, parsed as one manifest.
    pub manifest: toml::Table,
    /// The `//d:` lines.
    pub patterns: Vec<String>,
}

impl Header {
    /// Reads the header of `source`; `path` is for messages.
    pub fn parse(path: &Path, source: &str) -> Result<Self> {
        let mut header = Self::default();
        let mut manifest = String::new();
        let mut manifest_lines = Vec::new();
        let mut first = true;
        for (index, line) in comment_lines(source) {
            if first && !line.is_empty() && !is_shebang(index, line) {
                first = false;
                header.read_marker(path, index, line)?;
            }
            if let Some(text) = line.strip_prefix("//:") {
                manifest.push_str(text);
                manifest.push('\n');
                manifest_lines.push(index);
            } else if let Some(pattern) = line.strip_prefix("//d:") {
                let pattern = pattern.trim();
                if let Err(error) = glob::Pattern::new(pattern) {
                    return Err(Error::project(
                        path,
                        format!("{}:{}: `{pattern}` is not a valid pattern: {}", path.display(), index + 1, error.msg),
                        "patterns support `*`, `?`, `[…]`, and `**` for any depth; write `[[]` for a bracket",
                    ));
                }
                header.patterns.push(pattern.to_owned());
            }
        }
        header.manifest = manifest.parse().map_err(|error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start.min(manifest.len()));
            let index = manifest[..offset].matches('\n').count();
            let line = manifest_lines.get(index).or(manifest_lines.last()).map_or(1, |index| index + 1);
            let text = manifest.lines().nth(index).unwrap_or_default().trim();
            Error::project(
                path,
                format!("{}:{line}: `{text}` is not valid in a manifest: {}", path.display(), error.message()),
                "the lines after `//:` together form a Cargo.toml, such as `//: [dependencies]` followed by \
                 `//: rand = \"0.8\"`",
            )
        })?;
        let stray = header
            .manifest
            .iter()
            .find(|(key, value)| !value.is_table() && *key != "cargo-features" && !value.is_array());
        if let Some((key, value)) = stray {
            let line = manifest.lines().position(|line| line.trim_start().starts_with(key.as_str()));
            let line = line.and_then(|index| manifest_lines.get(index)).map_or(1, |index| index + 1);
            return Err(Error::project(
                path,
                format!("{}:{line}: `{key} = {value}` is not in a table of the manifest", path.display()),
                "put a dependency below a line `//: [dependencies]`, and a setting of the package below \
                 `//: [package]`",
            ));
        }
        Ok(header)
    }

    /// Whether the source opts in with a marker. The rest of the header may be invalid.
    pub fn is_marked(source: &str) -> bool {
        let mut lines = comment_lines(source).filter(|(index, line)| !line.is_empty() && !is_shebang(*index, line));
        lines.next().is_some_and(|(_, line)| !line.starts_with("#![") && line.contains("rustimport"))
    }

    fn read_marker(&mut self, path: &Path, index: usize, line: &str) -> Result<()> {
        let Some((_, after)) = line.split_once("rustimport") else { return Ok(()) };
        self.marked = true;
        let Some(name) = after.strip_prefix(':') else { return Ok(()) };
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || "_-".contains(*c)).collect();
        self.template = Template::ALL.into_iter().find(|template| template.name() == name);
        if self.template.is_none() && !name.is_empty() {
            return Err(Error::project(
                path,
                format!("{}:{}: there is no template named `{name}`", path.display(), index + 1),
                "there are `// rustimport:pyo3` and `// rustimport:cffi`; without a template write `// rustimport`",
            ));
        }
        Ok(())
    }
}

/// The leading lines that are blank, comments, inner attributes or a shebang, with their indices.
fn comment_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    source.trim_start_matches('\u{feff}').lines().enumerate().map(|(index, line)| (index, line.trim())).take_while(
        move |(index, line)| {
            if in_block || line.starts_with("/*") {
                in_block = !line.contains("*/");
                return true;
            }
            line.is_empty() || line.starts_with("//") || line.starts_with("#![") || is_shebang(*index, line)
        },
    )
}

/// Removes the shebang, the marker, the `//:` and the `//d:` lines from a source, and the blank lines that remain at
/// the top. In a block comment only the marker is removed.
pub fn without(source: &str) -> String {
    let is_marker =
        |line: &str| line.trim_start_matches(['/', '*', ' ']).starts_with("rustimport") && !line.starts_with("//!");
    let replaced = |index: usize, line: &str| {
        if is_shebang(index, line) || line.starts_with("//:") || line.starts_with("//d:") {
            return Some(String::new());
        }
        is_marker(line).then(|| if line.starts_with("//") { String::new() } else { without_marker(line) })
    };
    let known = comment_lines(source).filter_map(|(index, line)| Some((index, replaced(index, line)?)));
    let ours: HashMap<usize, String> = known.collect();
    let lines = source.split_inclusive('\n').enumerate().map(|(index, line)| match ours.get(&index) {
        None => line.to_owned(),
        Some(rest) if rest.is_empty() => String::new(),
        Some(rest) => line.replacen(line.trim(), rest, 1),
    });
    let rest: String = lines.collect();
    rest.trim_start_matches(['\r', '\n']).to_owned()
}

/// Removes the marker from a line of a block comment. Returns an empty line if the comment contained nothing else.
fn without_marker(line: &str) -> String {
    let (before, after) = line.split_once("rustimport").unwrap_or((line, ""));
    let template =
        after.strip_prefix(':').map(|name| name.trim_start_matches(|c: char| c.is_alphanumeric() || "_-".contains(c)));
    let rest = format!("{}{}", before.trim_end(), template.unwrap_or(after));
    let is_empty =
        rest.strip_prefix("/*").and_then(|rest| rest.strip_suffix("*/")).is_some_and(|text| text.trim().is_empty());
    if is_empty { String::new() } else { rest }
}

/// The offset of the header's end, which is before the first item and the comments that belong to that item.
pub fn end(source: &str) -> usize {
    let lines: Vec<(usize, &str)> = comment_lines(source).collect();
    let is_inner = |line: &str| line.starts_with("#!") || line.starts_with("//!");
    let last = lines.iter().rev().find(|(_, line)| is_inner(line) || line.is_empty());
    let count = last.map_or(0, |(index, _)| index + 1);
    source.split_inclusive('\n').take(count).map(str::len).sum()
}

fn is_shebang(index: usize, line: &str) -> bool {
    index == 0 && line.starts_with("#!") && !line.starts_with("#![")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Header> {
        Header::parse(Path::new("/s/m.rs"), source)
    }

    #[test]
    fn markers() {
        let check = |source: &str, marked: bool, template: Option<Template>| {
            let header = parse(source).unwrap();
            assert_eq!((header.marked, header.template), (marked, template), "{source:?}");
        };
        check("", false, None);
        check("fn main() {} // rustimport", false, None);
        check("// rustimport", true, None);
        check("\u{feff}\r\n\r\n//rustimport:pyo3\r\n", true, Some(Template::Pyo3));
        check("// for rustimport: see below", true, None);
        check("/* rustimport:pyo3 */\nfn f() {}", true, Some(Template::Pyo3));
        check("// a comment\n// rustimport", false, None);
        check("#!/usr/bin/env x\n// rustimport", true, None);
        check("// rustimport:cffi", true, Some(Template::Cffi));
        check("//! docs for rustimport:pyo3.", true, Some(Template::Pyo3));
    }

    #[test]
    fn manifest_and_patterns() {
        let header = parse(
            "// rustimport:pyo3\n\n// text\n//: [package]\n//: version = \"1.2.3\"\n//:\n#![allow(x)]\n\
             //: [dependencies]\n//:rand = \"0.8\"\n//d: ../*.rs\nuse x;\n//: [nonsense\n",
        )
        .unwrap();
        let expected: toml::Table = "[package]\nversion='1.2.3'\n[dependencies]\nrand='0.8'".parse().unwrap();
        assert_eq!(header.manifest, expected);
        assert_eq!(header.patterns, ["../*.rs"]);
    }

    #[test]
    fn the_header_is_removed_and_comments_are_kept() {
        let check = |source: &str, expected: &str| assert_eq!(without(source), expected, "{source:?}");
        check("#!/x\n// rustimport:pyo3\n\n//: [package]\n// text\nfn f() {}", "// text\nfn f() {}");
        check("/* rustimport:pyo3 */\nfn f() {}", "fn f() {}");
        check("/* rustimport:pyo3\n   text */\nfn f() {}", "/*\n   text */\nfn f() {}");
        check("/* rustimport: text */ fn f() {}", "/* text */ fn f() {}");
        check("/*\n * rustimport\n */\nfn f() {}", "/*\n *\n */\nfn f() {}");
        check("//! rustimport:pyo3\nfn f() {}", "//! rustimport:pyo3\nfn f() {}");
    }

    #[test]
    fn errors_name_the_line() {
        let check = |source: &str, place: &str| {
            let message = parse(source).unwrap_err().to_string();
            assert!(message.starts_with(place), "{message}");
        };
        check("// rustimport\n\n//: [dependencies]\n// x\n//: rand = \n", "/s/m.rs:5:");
        check("// rustimport\n//: [package\n", "/s/m.rs:2:");
        check("// rustimport:pyo3\n//: rand = \"0.8\"\n", "/s/m.rs:2: `rand = \"0.8\"` is not in a table");
        check("// rustimport\n\n//d: [bad\n", "/s/m.rs:3: `[bad` is not a valid pattern");
        check("\n// rustimport:numpy", "/s/m.rs:2: there is no template");
    }
}
