//! Reads the type information that pyo3's feature `experimental-inspect` puts into a library, as type stubs. The crate
//! `pyo3-introspection` converts it; this module gives it what it cannot find by itself.
//!
//! pyo3 writes a *chunk* of JSON for each function, class and declared module, and finds them by symbols, which a
//! stripped library does not have. So the chunks are found by their form here, and handed over in an object file that
//! has the symbols. A module that is declared as a function (`#[pymodule] fn`) does not list its members, exceptions
//! have no chunk, and older versions of pyo3 write none. So the module *describes* itself at run time, in the form of
//! chunks whose members are in them (`python/rustimport/_description.py`): each member that has a chunk of pyo3's, with types,
//! is replaced by it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::base::fs;

/// What every chunk of a module contains.
const MODULE: &[u8] = b"\"type\":\"module\"";

/// The chunks' symbols. The number is the version of their format.
const SYMBOL: &str = "PYO3_INTROSPECTION_1_";

/// Whether a library may contain type information.
pub fn is_in(library: &[u8]) -> bool {
    memchr::memmem::find(library, MODULE).is_some()
}

/// The stubs of a module, with paths relative to the folder that a package of its name would be. `described` is the
/// module at run time. Without it, stubs are as pyo3 describes the module, and an incomplete one accepts every name
/// (`def __getattr__`).
///
/// # Errors
/// The library has no type information, or of a format that is not known.
pub fn stubs(library: &[u8], module: &str, described: Option<&Value>) -> Result<Vec<(PathBuf, String)>, String> {
    let mut found = chunks(library);
    found.iter_mut().for_each(complete);
    let chunks = match described {
        Some(described) if !described.is_object() => return Err("the description is not a module".into()),
        Some(described) => Members::of(&found).complete(described),
        None if found.is_empty() => return Err("there is no type information in it".into()),
        None => found,
    };
    let file = fs::temporary_file(&object(&chunks)).map_err(|error| error.to_string())?;
    let module = pyo3_introspection::introspect_cdylib(file.path(), module).map_err(|error| format!("{error:#}"))?;
    let mut stubs: Vec<_> = pyo3_introspection::module_stub_files(&module).into_iter().collect();
    stubs.sort();
    Ok(stubs)
}

/// The names of the functions and classes that a library has type information about, and that only one of them has.
pub fn names(library: &[u8]) -> Vec<String> {
    let chunks = chunks(library);
    let is_top = |chunk: &&Value| text(chunk, "parent").is_none() && kind(chunk) != Some("module");
    let mut names: Vec<&str> = chunks.iter().filter(is_top).filter_map(|chunk| text(chunk, "name")).collect();
    names.sort_unstable();
    let is_one = |same: &&[&str]| same.len() == 1;
    names.chunk_by(|a, b| a == b).filter(is_one).map(|same| same[0].to_owned()).collect()
}

/// The chunks of a library: JSON objects, each after its length.
fn chunks(library: &[u8]) -> Vec<Value> {
    let mut found = Vec::new();
    let mut end = 0;
    for start in memchr::memmem::find_iter(library, b"{\"") {
        // What is inside a chunk is not one.
        if start < end + 4 {
            continue;
        }
        let Ok(length) = library[start - 4..start].try_into().map(u32::from_le_bytes) else { continue };
        let Some(text) = library.get(start..start + length as usize) else { continue };
        if text.last() != Some(&b'}') {
            continue;
        }
        let chunk = serde_json::from_slice(text).ok().filter(|chunk: &Value| kind(chunk).is_some());
        if let Some(chunk) = chunk {
            end = start + text.len();
            found.push(chunk);
        }
    }
    found
}

fn kind(chunk: &Value) -> Option<&str> {
    chunk.get("type")?.as_str().filter(|kind| ["module", "class", "function", "attribute"].contains(kind))
}

fn array(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn text<'a>(chunk: &'a Value, key: &str) -> Option<&'a str> {
    chunk.get(key)?.as_str()
}

fn members(chunk: &Value) -> impl Iterator<Item = &Value> {
    chunk.get("members").and_then(Value::as_array).into_iter().flatten()
}

/// The ids that a chunk of pyo3's lists.
fn listed(chunk: &Value) -> impl Iterator<Item = &str> {
    members(chunk).filter_map(Value::as_str)
}

/// Python's keywords.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Makes a function valid in a stub: annotates parameters and results without a type, which checkers complain about;
/// and lets a parameter that has the name of a keyword, and those before it, be given by position only.
fn complete(chunk: &mut Value) {
    if kind(chunk) != Some("function") {
        return;
    }
    let is_keyword = |argument: &Value| text(argument, "name").is_some_and(|name| KEYWORDS.contains(&name));
    if let Some(arguments) = chunk.get_mut("arguments").and_then(Value::as_object_mut) {
        let mut before = array(arguments.get("posonlyargs"));
        let mut after = array(arguments.get("args"));
        let last = after.iter().rposition(is_keyword).map_or(0, |last| last + 1);
        before.extend(after.drain(..last));
        for argument in before.iter_mut().filter(|argument| is_keyword(argument)) {
            argument["name"] = json!(format!("{}_", text(argument, "name").unwrap_or_default()));
        }
        arguments.insert("posonlyargs".into(), before.into());
        arguments.insert("args".into(), after.into());
    }
    let any = json!({ "type": "attribute", "value": { "type": "name", "id": "typing" }, "attr": "Any" });
    let is_method = chunk.get("parent").is_some();
    for key in ["posonlyargs", "args", "kwonlyargs", "vararg", "kwarg"] {
        let found = match chunk.pointer_mut("/arguments").and_then(|arguments| arguments.get_mut(key)) {
            Some(Value::Array(several)) => several.iter_mut().collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        };
        for argument in found.into_iter().filter_map(Value::as_object_mut) {
            let is_own = is_method && argument.get("name").is_some_and(|name| name == "self" || name == "cls");
            if !is_own && !argument.contains_key("annotation") {
                argument.insert("annotation".into(), any.clone());
            }
        }
    }
    if let Some(function) = chunk.as_object_mut() {
        function.entry("returns").or_insert(any);
    }
}

/// The chunks of a library, by what they belong to.
struct Members<'a> {
    chunks: &'a [Value],
    by_id: BTreeMap<&'a str, &'a Value>,
    /// Functions and classes that no declared module lists, by name. More than one may have the same name.
    others: BTreeMap<&'a str, Vec<&'a Value>>,
}

impl<'a> Members<'a> {
    fn of(chunks: &'a [Value]) -> Self {
        let by_id: BTreeMap<_, _> = chunks.iter().filter_map(|chunk| Some((text(chunk, "id")?, chunk))).collect();
        let listed: Vec<&str> = chunks.iter().flat_map(listed).collect();
        let mut others: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, chunk) in &by_id {
            if text(chunk, "parent").is_none() && kind(chunk) != Some("module") && !listed.contains(id) {
                others.entry(text(chunk, "name").unwrap_or_default()).or_default().push(*chunk);
            }
        }
        Self { chunks, by_id, others }
    }

    /// All chunks that a described module needs, itself first.
    fn complete(&self, described: &Value) -> Vec<Value> {
        let is_root = |chunk: &&Value| kind(chunk) == Some("module") && chunk.get("name") == described.get("name");
        let mut chunks = Vec::new();
        self.add_module(described, self.chunks.iter().find(is_root), &mut chunks);
        // pyo3-introspection takes the first module of that name.
        chunks.reverse();
        chunks.extend(self.chunks.iter().filter(|chunk| kind(chunk) != Some("module")).cloned());
        chunks
    }

    /// Adds a module after its members. `declared` is its own chunk. Returns its id.
    fn add_module(&self, described: &Value, declared: Option<&Value>, chunks: &mut Vec<Value>) -> String {
        let declared: Vec<&Value> =
            declared.into_iter().flat_map(listed).filter_map(|id| self.by_id.get(id).copied()).collect();
        let mut ids = Vec::new();
        for member in members(described).filter(|member| member.is_object()) {
            let is_member = |chunk: &&&Value| chunk.get("name") == member.get("name");
            let own = declared.iter().find(is_member).copied();
            ids.push(match (kind(member), own) {
                (Some("module"), _) => self.add_module(member, own, chunks),
                (_, Some(own)) => text(own, "id").unwrap_or_default().to_owned(),
                (_, None) => match self.others.get(text(member, "original").unwrap_or_default()).map(Vec::as_slice) {
                    Some([other]) if other.get("name") == member.get("name") => {
                        text(other, "id").unwrap_or_default().to_owned()
                    }
                    Some([other]) => add(with(other, "name", member["name"].clone()), None, chunks),
                    // Which of several it is cannot be known.
                    _ => add(member.clone(), None, chunks),
                },
            });
        }
        let module = with(described, "members", json!(ids));
        add(module, None, chunks)
    }
}

fn with(chunk: &Value, key: &str, value: Value) -> Value {
    let mut chunk = chunk.clone();
    chunk[key] = value;
    chunk
}

/// Adds a chunk, and as chunks of their own those that are in it. Returns its id.
fn add(mut chunk: Value, parent: Option<&str>, chunks: &mut Vec<Value>) -> String {
    let id = format!("described {}", chunks.len());
    chunk["id"] = json!(&id);
    if let Some(parent) = parent {
        chunk["parent"] = json!(parent);
    }
    let inner: Vec<Value> = members(&chunk).filter(|inner| inner.is_object()).cloned().collect();
    chunks.push(chunk);
    for member in inner {
        add(member, Some(&id), chunks);
    }
    id
}

/// An object file (ELF, 64 bits) with a symbol for each chunk.
fn object(chunks: &[Value]) -> Vec<u8> {
    const HEADER: u64 = 64;
    // What comes first in the lists of sections and symbols means none.
    let (no_section, no_symbol) = ([0; 64], [0; 24]);
    let (mut data, mut symbols) = (Vec::new(), no_symbol.to_vec());
    for chunk in chunks {
        let text = chunk.to_string();
        // Its name's place, global object, visibility, section, place and size.
        symbols.extend([1, 0, 0, 0, 0x11, 0, 1, 0]);
        symbols.extend((data.len() as u64).to_le_bytes());
        symbols.extend((text.len() as u64 + 4).to_le_bytes());
        data.extend(u32::try_from(text.len()).unwrap_or_default().to_le_bytes());
        data.extend(text.as_bytes());
    }
    let names = format!("\0{SYMBOL}\0").into_bytes();
    let sizes = [data.len() as u64, symbols.len() as u64, names.len() as u64];
    let places = [HEADER, HEADER + sizes[0], HEADER + sizes[0] + sizes[1]];

    // 64 bits, little endian, version 1; a shared object for x86-64 with 4 section headers at the end.
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    file.extend([0; 16]);
    file.extend((places[2] + sizes[2]).to_le_bytes());
    file.extend([0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0, 4, 0, 3, 0]);
    file.extend(data);
    file.extend(symbols);
    file.extend(names);
    file.extend(no_section);
    // Data, symbols and names: kind, the section of a symbol's names, and the size of a member.
    for (index, (kind, link, member)) in
        [(1_u32, 0_u32, 0_u64), (2, 3, no_symbol.len() as u64), (3, 0, 0)].into_iter().enumerate()
    {
        file.extend([0; 4]);
        file.extend(kind.to_le_bytes());
        file.extend([0; 16]);
        file.extend(places[index].to_le_bytes());
        file.extend(sizes[index].to_le_bytes());
        file.extend(link.to_le_bytes());
        file.extend([0; 12]);
        file.extend(member.to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library with chunks, as pyo3 writes them.
    fn library(chunks: &[Value]) -> Vec<u8> {
        let mut bytes = b"\x7fELF{\"no chunk\": 1}".to_vec();
        for chunk in chunks {
            let text = chunk.to_string();
            bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    fn function(name: &str, id: &str, doc: &str) -> Value {
        let int = json!({ "type": "name", "id": "int" });
        json!({ "type": "function", "name": name, "id": id, "doc": doc, "arguments": {}, "returns": int })
    }

    #[test]
    fn stubs_have_what_the_module_has_at_run_time() {
        let with = library(&[
            json!({ "type": "module", "name": "m", "id": "1", "members": ["2", "gone"], "incomplete": true }),
            function("listed", "2", "{\"in\": 1}"),
            function("added", "3", ""),
            function("hidden", "4", ""),
            function("twice", "5", ""),
            function("twice", "6", ""),
        ]);
        assert!(is_in(&with));
        assert_eq!(names(&with), ["added", "hidden", "listed"]);
        let check = |described: Option<&Value>, path: &str, has: &[&str], lacks: &[&str]| {
            let files = stubs(&with, "m", described).unwrap();
            let text = &files.iter().find(|(found, _)| found == std::path::Path::new(path)).unwrap().1;
            assert!(has.iter().all(|has| text.contains(has)), "{text}");
            assert!(!lacks.iter().any(|lacks| text.contains(lacks)), "{text}");
        };
        check(None, "__init__.pyi", &["def listed() -> int", "__getattr__"], &["added"]);
        let any = |name: &str, original: &str| json!({ "type": "function", "name": name, "original": original, "arguments": {} });
        let error = json!({
            "type": "class", "name": "Error", "original": "Error",
            "bases": [{ "type": "name", "id": "ValueError" }], "members": [any("method", "method")],
        });
        let inner = json!({ "type": "module", "name": "sub", "members": [any("other", "added")] });
        let members = json!([any("listed", "listed"), any("added", "added"), any("twice", "twice"), error, inner]);
        let all = json!({ "type": "module", "name": "m", "doc": "Doc.", "members": members });
        let has = [
            "Doc.",
            "def listed() -> int",
            "def added() -> int",
            "def twice():",
            "class Error(ValueError):\n    def method",
        ];
        check(Some(&all), "__init__.pyi", &has, &["__getattr__", "hidden", "other"]);
        check(Some(&all), "sub.pyi", &["def other() -> int"], &["listed", "added"]);
    }

    #[test]
    fn what_is_no_type_information_is_an_error() {
        assert!(!is_in(b"\x7fELF"));
        for bytes in [&b"{\""[..], b"\x09\0\0\0{\"type\":1}", b"\xff\xff\xff\xff{\"type\":\"module\"}", b"123{\"a\":1}"]
        {
            assert!(stubs(bytes, "m", None).is_err());
        }
        let unknown = library(&[json!({ "type": "module", "unknown": 1 })]);
        assert!(stubs(&unknown, "m", None).is_err());
        assert!(stubs(&library(&[function("f", "1", "")]), "m", None).is_err());
        assert!(stubs(b"", "m", Some(&json!({ "type": "module", "name": "m" }))).is_ok());
    }
}
