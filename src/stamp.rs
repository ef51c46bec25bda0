//! What Python can check by itself: the artifact and its inputs as stats, in a text that is read in
//! microseconds. `_hook.py` holds the reader. Any difference means: ask the core.
//!
//! ```text
//! rustimport-stamp 1
//! <context> <1 if the source opted in>
//! <source>
//! F <size> <mtime> <ctime>\t<path>         the artifact first, then every file; `F -` is never equal
//! D <mtime> <ctime>\t<path>\t<name>\t…     names that must stay absent; looked up if the folder changed
//! L <mtime> <ctime>\t<path>                a folder whose listing is an input
//! V\t<name>=<value>                        a variable's value
//! U\t<name>\t…                             variables that must stay unset
//! <hash of all the above>
//! ```

use std::fmt::Write;
use std::path::Path;

use crate::fs::{Stat, Watched};
use crate::inputs::{Inputs, Look, Surroundings};
use crate::interpreter::Interpreter;
use crate::request::Request;

/// The stamp for an artifact that was just found, or made, fresh.
pub fn stamp(
    request: &Request,
    artifact: &Path,
    inputs: &Inputs,
    look: &Look,
    surroundings: &Surroundings,
    toolchain: &[Watched],
) -> String {
    let marked = u8::from(request.marked);
    let mut text = format!("rustimport-stamp 1\n{} {marked}\n{}\n", request.context, escape(&request.root));
    // Nobody edits an artifact: its stat proves enough at once.
    let artifact = (artifact.to_owned(), Stat::of(artifact));
    for (path, stat) in [&artifact].into_iter().chain(&look.files).chain(&surroundings.watched).chain(toolchain) {
        let _ = match stat {
            Some(stat) => writeln!(text, "F {} {} {}\t{}", stat.size, stat.mtime, stat.ctime, escape(path)),
            None => writeln!(text, "F -\t{}", escape(path)),
        };
    }
    let times = |stat: &Option<Stat>| match stat {
        Some(stat) => format!("{} {}", stat.mtime, stat.ctime),
        None => "-".into(),
    };
    for (folder, (stat, names)) in surroundings.absent.iter().filter(|(_, (_, names))| !names.is_empty()) {
        let _ = writeln!(text, "D {}\t{}\t{}", times(stat), escape(folder), names.join("\t"));
    }
    for path in &inputs.absent {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            let _ = writeln!(text, "D -\t{}\t{}", escape(folder), escape(Path::new(name)));
        }
    }
    for (folder, stat) in &look.folders {
        let _ = writeln!(text, "L {}\t{}", times(stat), escape(folder));
    }
    let mut unset = Vec::new();
    for variable in &inputs.variables {
        let name = escape(Path::new(&variable.name));
        match &variable.value {
            Some(value) => {
                let _ = writeln!(text, "V\t{name}={}", escape(Path::new(value)));
            }
            None => unset.push(name),
        }
    }
    if !unset.is_empty() {
        let _ = writeln!(text, "U\t{}", unset.join("\t"));
    }
    sealed(text, &request.interpreter)
}

/// With a hash of all that goes before as the last line.
pub fn sealed(text: String, interpreter: &Interpreter) -> String {
    let seal = interpreter.source_hash(text.as_bytes());
    text + &seal + "\n"
}

/// A path as one field of a line: what would end the field, and bytes that are no text, as `%XX`.
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

/// Paths in records, which are text as well.
pub mod path_text {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::escape(path))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(unescape(&text))
    }

    fn unescape(text: &str) -> PathBuf {
        let bytes = crate::diagnostic::percent_decoded(text);
        #[cfg(unix)]
        return PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes));
        #[cfg(not(unix))]
        return PathBuf::from(String::from_utf8_lossy(&bytes).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stay_fields() {
        let check = |path: &str, expected: &str| assert_eq!(escape(Path::new(path)), expected);
        check("/a b/c", "/a b/c");
        check("/a\tb\nc\rd%e", "/a%09b%0Ac%0Dd%25e");
        check("/größe", "/größe");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let path = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff%"));
            assert_eq!(escape(path), "/a%FF%25");
            let table =
                toml::to_string(&crate::inputs::FileInput { path: path.to_owned(), hash: None, stat: Stat::default() });
            let back: crate::inputs::FileInput = toml::from_str(&table.unwrap()).unwrap();
            assert_eq!(back.path, path);
        }
    }
}
