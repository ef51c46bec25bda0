//! Parses the Rust code of a script, and generates the library root that cargo compiles for it. Types and macros are
//! not resolved; anything beyond the syntax is left to the compiler.
//!
//! Where possible, cargo compiles the user's file itself. This depends on what has to be generated:
//!
//! | form | when | what cargo's `lib.path` names |
//! | --- | --- | --- |
//! | [`Root::Direct`] | nothing has to be generated | the user's file |
//! | [`Root::Wrapped`] | the prelude or the module has to be generated | a generated file that `include!`s the user's |
//! | [`Root::Copied`] | the same in a cell, or if inner attributes or `//!` forbid `include!` | an extended copy |

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{Attribute, Item, LitStr, Meta, UseTree, Visibility};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::paths::relative;
use crate::script::header::{self, Header, Template};

/// The name of the generated module in Rust; its name in Python is the script's.
const MODULE: &str = "__rustimport_module";

/// What the pyo3 template imports.
const PRELUDE: &str = "pyo3::prelude::*";

/// A file with deeper nesting is not parsed but left to the compiler: parsing is recursive, and the stack may be small.
const MAX_NESTING: usize = 200;
/// The same limit for long expressions and types without brackets.
const MAX_DEPTH: usize = 1000;

thread_local! {
    /// The number of `Script`s that exist in this thread.
    static LIVE_SCRIPTS: Cell<usize> = const { Cell::new(0) };
}

pub struct Script {
    pub header: Header,
    /// The source as text. Bytes that are not UTF-8 are replaced; the compiler reports them.
    text: String,
    /// The parsed file; `None` if it cannot be parsed, since the compiler's error is better.
    file: Option<syn::File>,
}

/// The library root for cargo.
#[derive(Debug, PartialEq)]
pub enum Root {
    Direct,
    Wrapped(String),
    Copied(String),
}

impl Script {
    pub fn read(path: &Path) -> Result<Self> {
        let source = fs::read(path).map_err(|error| {
            let message = format!("cannot read {}: {error}", path.display());
            Error::project(path, message, "check the path and its permissions")
        })?;
        Self::parse(path, &source)
    }

    pub fn parse(path: &Path, source: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(source);
        let text = text.trim_start_matches('\u{feff}').to_owned();
        let header = Header::parse(path, &text)?;
        LIVE_SCRIPTS.set(LIVE_SCRIPTS.get() + 1);
        let mut script = Self { header, text, file: None };
        let is_within_limits = std::str::from_utf8(source).is_ok() && nesting(&script.text) <= MAX_NESTING;
        if is_within_limits && depth(script.tokens()) <= MAX_DEPTH {
            script.file = syn::parse_file(&script.text).ok();
        }
        Ok(script)
    }

    /// Whether incremental compilation is faster for it, which starts at about a hundred lines.
    pub fn is_long(&self) -> bool {
        self.text.len() > 4096
    }

    /// Whether the template imports pyo3's prelude, since the code does not.
    pub fn lacks_prelude(&self) -> bool {
        let has_none = |file: &syn::File| !file.items.iter().any(is_prelude);
        self.header.template.is_some() && self.file.as_ref().is_some_and(has_none)
    }

    /// Whether the code uses pyo3 and needs it as a dependency.
    pub fn uses_pyo3(&self) -> bool {
        self.header.template.is_some_and(Template::uses_pyo3)
            || (self.text.contains("pyo3") && (self.file.is_none() || contains_ident(self.tokens(), "pyo3")))
    }

    /// Whether it is valid Rust syntax.
    pub fn is_parsed(&self) -> bool {
        self.file.is_some()
    }

    /// Whether a file declares a module named `stem`, so that it can be imported without a marker.
    pub fn declares_module(&self, stem: &str) -> bool {
        self.has_entry_point(stem) || self.modules(stem).iter().any(|name| name == stem)
    }

    fn has_entry_point(&self, stem: &str) -> bool {
        let name = format!("PyInit_{stem}");
        self.file.is_some() && self.text.contains(&name) && contains_ident(self.tokens(), &name)
    }

    /// The template, if it generates a module for this source.
    pub fn generates_module(&self, stem: &str) -> Option<Template> {
        let template = self.header.template.filter(|_| self.file.is_some())?;
        let is_declared = || !self.modules(stem).is_empty() || self.has_entry_point(stem);
        (template == Template::Cffi || !is_declared()).then_some(template)
    }

    /// Whether the generated module is empty; then, the name of a function that could be meant for it.
    pub fn exports_nothing(&self, stem: &str) -> Option<Option<String>> {
        let file = self.file.as_ref().filter(|_| self.generates_module(stem) == Some(Template::Pyo3))?;
        if !exports(file, &self.text).is_ok_and(|exports| exports.is_empty()) {
            return None;
        }
        let functions = file.items.iter().filter_map(|item| match item {
            Item::Fn(item) => Some(item),
            _ => None,
        });
        Some(functions.map(|function| function.sig.ident.to_string()).next())
    }

    fn tokens(&self) -> TokenStream {
        let first = self.text.find('\n').unwrap_or(self.text.len());
        let shebang = match &self.file {
            Some(file) => file.shebang.as_ref().map_or(0, String::len),
            None if self.text.starts_with("#!") && !self.text[2..].trim_start().starts_with('[') => first,
            None => 0,
        };
        self.text[shebang..].parse().unwrap_or_default()
    }

    /// The Python names of all modules that the file declares at its root, and `stem` if a nested module declares it.
    fn modules(&self, stem: &str) -> Vec<String> {
        let Some(file) = &self.file else { return Vec::new() };
        let mut names = declared_modules(&file.items);
        if !names.iter().any(|name| name == stem) && inline_modules(&file.items).any(|items| declares(items, stem)) {
            names.push(stem.to_owned());
        }
        names
    }

    /// Fails if the module could not be imported under the name `stem`. This is checked before the source is compiled.
    pub fn check_module(&self, path: &Path, stem: &str) -> Result<()> {
        if !is_module_name(stem) {
            return Err(Error::project(
                path,
                format!("`{stem}` cannot be the name of a module that is written in Rust"),
                "a name has ASCII letters, digits and `_`, and does not begin with a digit: rename the file, or give \
                 the module another name with rustimport.imp_from_path(path, fullname=…)",
            ));
        }
        let Some(file) = &self.file else { return Ok(()) };
        let modules = self.modules(stem);
        if modules.is_empty() {
            // A macro or another file may declare the module; then the library is checked after the build.
            let may_be_declared = file.items.iter().any(|item| match item {
                Item::Macro(_) => true,
                Item::Mod(item) => item.content.is_none(),
                _ => false,
            });
            if self.header.template.is_none() && !may_be_declared && !self.has_entry_point(stem) {
                return Err(Error::project(
                    path,
                    format!("{} declares no Python module", path.display()),
                    format!(
                        "write `// rustimport:pyo3` on the first line to generate one with every #[pyfunction] \
                         and #[pyclass], or declare `#[pymodule] mod {stem} {{ … }}` yourself"
                    ),
                ));
            }
        } else if !modules.iter().any(|name| name == stem) && !self.has_entry_point(stem) {
            let found = modules.join("`, `");
            return Err(Error::project(
                path,
                format!("{} declares the module `{found}`, but is imported as `{stem}`", path.display()),
                format!(
                    "rename the file to `{}.rs`, or the module to `{stem}`, or write \
                     `#[pyo3(name = \"{stem}\")]` below #[pymodule]",
                    modules[0]
                ),
            ));
        }
        Ok(())
    }

    /// The library root that cargo compiles for the script at `path`, imported as `stem`. For a `cell`, this is the
    /// folder that relative paths are resolved against. `c_module` generates the module with the functions for C.
    pub fn root(
        &self,
        path: &Path,
        stem: &str,
        cell: Option<&Path>,
        c_module: &dyn Fn() -> Result<String>,
    ) -> Result<Root> {
        let Some(template) = self.header.template else { return Ok(Root::Direct) };
        let Some(file) = &self.file else {
            // With the prelude, rustc reports only what is wrong. It does not include a file with inner attributes
            // or invalid UTF-8.
            let is_plain =
                template.uses_pyo3() && !["#!", "//!", "/*!", "\u{fffd}"].iter().any(|start| self.text.contains(start));
            let prelude = format!("\n#[allow(unused_imports)]\nuse ::{PRELUDE};\n");
            return Ok(if is_plain { Root::Wrapped(included(path) + &prelude) } else { Root::Direct });
        };
        match template {
            Template::Cffi => return self.with_appended(path, file, &c_module()?, cell),
            Template::Pyo3 => {}
        }
        let needs_module = self.generates_module(stem).is_some();
        let needs_prelude = !file.items.iter().any(is_prelude);
        if !needs_module && !needs_prelude && cell.is_none() {
            return Ok(Root::Direct);
        }
        let mut added = String::new();
        if needs_prelude {
            added = format!("\n#[allow(unused_imports)]\nuse ::{PRELUDE};\n");
        }
        if needs_module {
            let exports = exports(file, &self.text).map_err(|names| duplicate_export(path, &names))?;
            let doc = documentation(file);
            let init = include_str!("templates/init.txt");
            let module =
                format!("\n{doc}#[::pyo3::pymodule]\n#[pyo3(name = \"{stem}\")]\nmod {MODULE} {{\n{exports}{init}}}\n");
            added.push_str(&module);
        }
        self.with_appended(path, file, &added, cell)
    }

    /// The library root of the script with generated code added.
    fn with_appended(&self, path: &Path, file: &syn::File, added: &str, cell: Option<&Path>) -> Result<Root> {
        if file.attrs.is_empty() && file.shebang.is_none() && cell.is_none() {
            return Ok(Root::Wrapped(included(path) + added));
        }
        let folder = cell.or(path.parent()).unwrap_or(Path::new("."));
        Ok(Root::Copied(self.anchor_paths(file, folder, None)? + added))
    }

    /// The Python name of the module that the file declares. If it declares several, `stem` is preferred.
    pub fn declared_module(&self, stem: &str) -> Option<String> {
        let modules = self.modules(stem);
        let has_stem = self.has_entry_point(stem) || modules.iter().any(|name| name == stem);
        if has_stem { Some(stem.to_owned()) } else { modules.into_iter().next() }
    }

    /// Fails if the script uses a template that crates do not support.
    pub fn check_may_be_a_crate(&self, path: &Path) -> Result<()> {
        let Some(template) = self.header.template.filter(|template| !template.is_for_crates()) else { return Ok(()) };
        Err(Error::project(
            path,
            format!("{}: the template `rustimport:{}` is for scripts", path.display(), template.name()),
            "keep the functions for C in a script, which may depend on the crate by `path`",
        ))
    }

    /// The root of a library in `folder` with the code of this script, without its header, and with the code that the
    /// template generates.
    pub fn as_library(&self, path: &Path, folder: &Path, module: &str) -> Result<String> {
        let Some(file) = &self.file else {
            return Err(Error::project(
                path,
                format!("{} cannot be read as Rust", path.display()),
                "build it first to see the compiler's error",
            ));
        };
        self.check_may_be_a_crate(path)?;
        let anchored = self.anchor_paths(file, path.parent().unwrap_or(Path::new(".")), Some(folder))?;
        let code = header::without(&anchored);
        let is_template = self.header.template.is_some_and(Template::is_for_crates);
        let mut added = String::new();
        if is_template && self.declared_module(module).is_none() {
            let exports = exports(file, &self.text).map_err(|names| duplicate_export(path, &names))?;
            // The module needs another name in Rust if the script uses this one.
            let is_taken = contains_ident(self.tokens(), module);
            let (attribute, name) =
                if is_taken { (format!("#[pyo3(name = \"{module}\")]\n"), "python") } else { (String::new(), module) };
            added = format!("\n#[pymodule]\n{attribute}mod {name} {{\n{exports}}}\n");
        }
        let prelude = format!("use {PRELUDE};\n");
        if !is_template || file.items.iter().any(is_prelude) {
            return Ok(code + &added);
        }
        let start = header::end(&code);
        let above = format!("{}{prelude}\n{}{added}", &code[..start], code[start..].trim_start_matches('\n'));
        // The line may be inside an inner attribute of several lines; then the import is appended.
        let is_right = syn::parse_file(&above).is_ok_and(|file| file.items.iter().any(is_prelude));
        Ok(if is_right { above } else { format!("{code}\n{prelude}{added}") })
    }

    /// The source with every relative path that rustc resolves replaced by an absolute path, or by one relative to the
    /// folder of the copy, so that the copy compiles in another folder. Line numbers do not change.
    fn anchor_paths(&self, file: &syn::File, folder: &Path, copy: Option<&Path>) -> Result<String> {
        let mut anchors = Anchors { home: folder, copy, edits: Vec::new() };
        anchors.anchor_modules(&file.items, folder)?;
        anchors.anchor_includes(self.tokens());
        let skipped = file.shebang.as_ref().map_or(0, String::len);
        let mut anchored = self.text.clone();
        anchors.edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        for (range, replacement) in anchors.edits {
            anchored.replace_range(range.start + skipped..range.end + skipped, &replacement);
        }
        if !anchored.ends_with('\n') {
            anchored.push('\n');
        }
        Ok(anchored)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        LIVE_SCRIPTS.set(LIVE_SCRIPTS.get() - 1);
        if LIVE_SCRIPTS.get() == 0 {
            // proc_macro2 keeps every parsed text in memory for its spans; none are in use any more.
            proc_macro2::extra::invalidate_current_thread_spans();
        }
    }
}

/// Whether a Rust module can have this name.
pub fn is_module_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The Python names of the `#[pymodule]`s among the items.
fn declared_modules(items: &[Item]) -> Vec<String> {
    let modules = items.iter().filter_map(|item| {
        let (attributes, name) = match item {
            Item::Fn(item) => (&item.attrs, &item.sig.ident),
            Item::Mod(item) => (&item.attrs, &item.ident),
            _ => return None,
        };
        find_attribute(attributes, "pymodule")?;
        Some(python_name(attributes).unwrap_or_else(|| unraw(name)))
    });
    modules.collect()
}

fn declares(items: &[Item], stem: &str) -> bool {
    declared_modules(items).iter().any(|name| name == stem) || inline_modules(items).any(|items| declares(items, stem))
}

fn inline_modules(items: &[Item]) -> impl Iterator<Item = &[Item]> {
    items.iter().filter_map(|item| match item {
        Item::Mod(item) => item.content.as_ref().map(|(_, items)| items.as_slice()),
        _ => None,
    })
}

/// The maximum nesting depth of brackets, including those in comments and strings.
fn nesting(text: &str) -> usize {
    let mut depth = 0_usize;
    let depths = text.bytes().map(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth
    });
    depths.max().unwrap_or_default()
}

/// An upper bound for the recursion depth of a parser: the longest run of tokens without a separator, plus the runs
/// around it. The arguments of macros do not count, since they are not parsed.
fn depth(tokens: TokenStream) -> usize {
    const KEYWORDS: [&str; 8] = ["if", "while", "return", "match", "in", "break", "else", "move"];
    let (mut deepest, mut stretch) = (0, 0);
    // The identifier that may be a macro's name, and whether a `!` followed it.
    let (mut name, mut is_macro) = (None, false);
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        stretch += 1;
        match &token {
            TokenTree::Group(group) => {
                let inner = if is_macro { 0 } else { depth(group.stream()) };
                deepest = deepest.max(stretch + inner);
                let ends = match tokens.peek() {
                    Some(TokenTree::Ident(next)) => next != "else",
                    Some(TokenTree::Punct(next)) => next.as_char() == '#',
                    _ => false,
                };
                if ends && group.delimiter() == Delimiter::Brace {
                    stretch = 0;
                }
                (name, is_macro) = (None, false);
            }
            TokenTree::Ident(ident) => {
                is_macro &= name.as_deref() == Some("macro_rules");
                name = Some(ident.to_string()).filter(|name| !is_macro && !KEYWORDS.contains(&name.as_str()));
            }
            TokenTree::Punct(punct) => {
                is_macro = punct.as_char() == '!' && name.is_some();
                if [';', ','].contains(&punct.as_char()) {
                    stretch = 0;
                }
                name = name.filter(|_| is_macro);
            }
            TokenTree::Literal(_) => (name, is_macro) = (None, false),
        }
        deepest = deepest.max(stretch);
    }
    deepest
}

fn duplicate_export(path: &Path, [name, first, second]: &[String; 3]) -> Error {
    Error::project(
        path,
        format!("{} exports `{name}` twice: {first} and {second}", path.display()),
        "give one of them another name in Python with `#[pyo3(name = \"…\")]`, or make it private",
    )
}

/// The `#[pymodule_export]` items for every function and class. Fails with a name and two items if both have that name.
fn exports(file: &syn::File, text: &str) -> Result<String, [String; 3]> {
    let mut exports = Vec::new();
    let text = &text[file.shebang.as_ref().map_or(0, String::len)..];
    collect_exports(&file.items, text, "super", "", &mut exports);
    // The item with the shortest path gets the name.
    let depth = |export: &Export| export.path.matches("::").count();
    let mut lines = String::new();
    for export in &exports {
        let mut rivals = exports.iter().filter(|rival| rival.name == export.name && rival.path != export.path);
        if rivals.clone().any(|rival| depth(rival) < depth(export)) {
            continue;
        }
        // The same path under different `cfg`s is one item in several versions.
        if let Some(rival) = rivals.find(|rival| depth(rival) == depth(export) && rival.cfgs == export.cfgs) {
            let shown = |path: &str| path.trim_start_matches("super::").to_owned();
            return Err([export.name.clone(), shown(&export.path), shown(&rival.path)]);
        }
        lines += &format!("{}    #[pymodule_export]\n    use {};\n", export.cfgs, export.path);
    }
    Ok(lines)
}

/// The `//!` comments of a file as attributes of the generated module, without the line that contains the marker.
fn documentation(file: &syn::File) -> String {
    let texts = file.attrs.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let is_marker = |(index, text): &(usize, String)| *index == 0 && text.contains("rustimport");
    let lines = texts.enumerate().filter(|line| !is_marker(line));
    lines.fold(String::new(), |all, (_, text)| format!("{all}#[doc = {text:?}]\n"))
}

struct Export {
    /// The name in Python.
    name: String,
    path: String,
    /// `#[cfg(…)]` lines.
    cfgs: String,
}

fn collect_exports(items: &[Item], text: &str, parent: &str, parent_cfgs: &str, exports: &mut Vec<Export>) {
    for item in items {
        let (attributes, visibility, name) = match item {
            Item::Fn(item) => (&item.attrs, &item.vis, &item.sig.ident),
            Item::Struct(item) => (&item.attrs, &item.vis, &item.ident),
            Item::Enum(item) => (&item.attrs, &item.vis, &item.ident),
            Item::Mod(item) => (&item.attrs, &item.vis, &item.ident),
            _ => continue,
        };
        // The generated module cannot access private items of a nested module.
        if parent != "super" && matches!(visibility, Visibility::Inherited) {
            continue;
        }
        let mut cfgs = parent_cfgs.to_owned();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")) {
            let (start, end) = (attribute.pound_token.span, attribute.bracket_token.span.close());
            cfgs += &format!("    {}\n", &text[start.byte_range().start..end.byte_range().end]);
        }
        if let Item::Mod(nested) = item {
            if let Some((_, items)) = &nested.content {
                collect_exports(items, text, &format!("{parent}::{name}"), &cfgs, exports);
            }
            continue;
        }
        let wanted = if matches!(item, Item::Fn(_)) { "pyfunction" } else { "pyclass" };
        if let Some(condition) = find_attribute(attributes, wanted) {
            cfgs += &condition;
            let python = python_name(attributes).unwrap_or_else(|| unraw(name));
            exports.push(Export { name: python, path: format!("{parent}::{name}"), cfgs });
        }
    }
}

/// Finds an attribute by the last part of its path. Returns the condition under which it applies: an empty string, or a
/// `#[cfg(…)]` line with the condition of the `cfg_attr` around it.
fn find_attribute(attributes: &[Attribute], name: &str) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        if last_segment_is(attribute.path(), name) {
            return Some(String::new());
        }
        let Meta::List(list) = &attribute.meta else { return None };
        if !list.path.is_ident("cfg_attr") {
            return None;
        }
        let parts = split_commas(list.tokens.clone());
        let (condition, rest) = parts.split_first()?;
        let is_wanted =
            |part: &TokenStream| syn::parse2::<Meta>(part.clone()).is_ok_and(|meta| last_segment_is(meta.path(), name));
        rest.iter().any(is_wanted).then(|| format!("    #[cfg({condition})]\n"))
    })
}

fn split_commas(tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    for token in tokens {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => parts.push(TokenStream::new()),
            _ => parts.last_mut().expect("never empty").extend([token]),
        }
    }
    parts
}

fn last_segment_is(path: &syn::Path, name: &str) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == name)
}

/// The name in `#[pyo3(name = "…")]`, `#[pymodule(name = "…")]` and similar attributes.
fn python_name(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let Meta::List(list) = &attribute.meta else { return None };
        if !["pyo3", "pymodule", "pyclass", "pyfunction"].iter().any(|name| last_segment_is(&list.path, name)) {
            return None;
        }
        split_commas(list.tokens.clone()).into_iter().find_map(|part| {
            let pair = syn::parse2::<syn::MetaNameValue>(part).ok()?;
            pair.path.is_ident("name").then(|| literal(&pair.value).map(LitStr::value))?
        })
    })
}

fn unraw(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

fn contains_ident(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => contains_ident(group.stream(), name),
        TokenTree::Literal(literal) => literal.to_string() == format!("\"{name}\""),
        TokenTree::Punct(_) => false,
    })
}

/// `use pyo3::prelude::*`, alone or in a group.
fn is_prelude(item: &Item) -> bool {
    fn search(tree: &UseTree, wanted: &[&str]) -> bool {
        match (tree, wanted) {
            (UseTree::Path(path), [first, rest @ ..]) => path.ident == *first && search(&path.tree, rest),
            (UseTree::Group(group), _) => group.items.iter().any(|tree| search(tree, wanted)),
            (UseTree::Glob(_), []) => true,
            _ => false,
        }
    }
    matches!(item, Item::Use(item) if search(&item.tree, &["pyo3", "prelude"]))
}

struct Anchors<'a> {
    /// The folder of the file, which `include_str!` resolves paths against.
    home: &'a Path,
    /// The folder of the copy, if paths should be relative to it.
    copy: Option<&'a Path>,
    edits: Vec<(Range<usize>, String)>,
}

impl Anchors<'_> {
    /// The string literal for a path that was relative to `folder`.
    fn anchor(&self, path: &Path, folder: &Path) -> String {
        match self.copy {
            // In an inline module, rustc resolves relative paths through the module's folder, which may not exist.
            Some(copy) if folder == self.home && path.starts_with(folder) => quote(Path::new(&relative(path, copy))),
            _ => quote(path),
        }
    }

    /// rustc searches `mod x;` in `folder`, which is a subfolder for inline modules.
    fn anchor_modules(&mut self, items: &[Item], folder: &Path) -> Result<()> {
        for item in items {
            let Item::Mod(item) = item else { continue };
            let name = unraw(&item.ident);
            let path = path_of(item);
            if let Some((_, items)) = &item.content {
                self.anchor_modules(items, &folder.join(path.map_or(name, LitStr::value)))?;
            } else if let Some(path) = path {
                let anchor = self.anchor(&folder.join(path.value()), folder);
                self.edits.push((path.span().byte_range(), anchor));
            } else {
                let flat = folder.join(format!("{name}.rs"));
                let nested = folder.join(&name).join("mod.rs");
                if has_modules_below(&flat) {
                    return Err(Error::project(
                        &flat,
                        format!("{} has modules of its own, which a copy of the script does not find", flat.display()),
                        format!("move it to {}: its modules stay where they are", nested.display()),
                    ));
                }
                let found = if !flat.exists() && nested.exists() { nested } else { flat };
                let start = match &item.vis {
                    Visibility::Public(token) => token.span,
                    Visibility::Restricted(restricted) => restricted.pub_token.span,
                    Visibility::Inherited => item.mod_token.span,
                };
                let start = start.byte_range().start;
                self.edits.push((start..start, format!("#[path = {}] ", self.anchor(&found, folder))));
            }
        }
        Ok(())
    }

    /// Searches the tokens instead of the syntax tree: macros can be in the arguments of other macros.
    fn anchor_includes(&mut self, tokens: TokenStream) {
        const INCLUDES: [&str; 3] = ["include", "include_str", "include_bytes"];
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for window in tokens.windows(3) {
            if let [TokenTree::Ident(name), TokenTree::Punct(mark), TokenTree::Group(arguments)] = window
                && mark.as_char() == '!'
                && INCLUDES.iter().any(|include| name == include)
                && let Some(TokenTree::Literal(path)) = arguments.stream().into_iter().next()
                && let Ok(path) = syn::parse2::<LitStr>(TokenTree::Literal(path).into())
            {
                let anchor = self.anchor(&self.home.join(path.value()), self.home);
                self.edits.push((path.span().byte_range(), anchor));
            }
        }
        for token in tokens {
            if let TokenTree::Group(group) = token {
                self.anchor_includes(group.stream());
            }
        }
    }
}

/// The value of a module's `#[path]` attribute.
fn path_of(item: &syn::ItemMod) -> Option<&LitStr> {
    item.attrs.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => literal(&pair.value),
        _ => None,
    })
}

/// Whether a file `a.rs` has modules that rustc searches in the folder `a`. If a `#[path]` attribute names the file,
/// rustc treats it like a `mod.rs` and searches them in the file's own folder instead.
fn has_modules_below(path: &Path) -> bool {
    fn search(items: &[Item], is_inside: bool) -> bool {
        items.iter().any(|item| match item {
            Item::Mod(module) => match &module.content {
                Some((_, items)) => search(items, true),
                None => is_inside || path_of(module).is_none(),
            },
            _ => false,
        })
    }
    let script = fs::read(path).ok().and_then(|source| Script::parse(path, &source).ok());
    script.is_some_and(|script| script.file.as_ref().is_some_and(|file| search(&file.items, false)))
}

/// Code that includes the file at `path`.
fn included(path: &Path) -> String {
    format!("::core::include!({});\n", quote(path))
}

fn quote(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

fn literal(value: &syn::Expr) -> Option<&LitStr> {
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(source: &str) -> Script {
        Script::parse(Path::new("/s/m.rs"), source.as_bytes()).unwrap()
    }

    fn root(source: &str) -> Root {
        script(source).root(Path::new("/s/m.rs"), "m", None, &|| Ok(String::new())).unwrap()
    }

    /// The generated module's exports, without white space.
    fn exports(source: &str) -> Vec<String> {
        let (Root::Wrapped(code) | Root::Copied(code)) = root(&format!("// rustimport:pyo3\n{source}")) else {
            panic!("nothing generated for {source}")
        };
        let (_, module) = code.split_once(&format!("mod {MODULE} {{")).expect(&code);
        let module = module.replace(include_str!("templates/init.txt"), "");
        let lines = module.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "}");
        lines.filter(|line| !line.contains("pymodule_export")).map(|line| line.replace(' ', "")).collect()
    }

    #[test]
    fn functions_and_classes_are_exported() {
        let check = |source: &str, expected: &[&str]| assert_eq!(exports(source), expected, "{source}");
        check("#[pyfunction] fn f() {}", &["usesuper::f;"]);
        check(
            "/// doc\n#[must_use]\n#[pyo3::pyfunction]\n#[pyo3(signature = (a=1))]\npub(crate) fn f<'py>(a: i32) {}",
            &["usesuper::f;"],
        );
        check("#[pyclass(frozen)] struct A; #[pyclass] enum B { X } struct C;", &["usesuper::A;", "usesuper::B;"]);
        check("#[cfg(unix)]\n#[pyfunction] fn f() {}", &["#[cfg(unix)]", "usesuper::f;"]);
        check(
            "#[cfg(unix)] #[pyfunction] fn f() {} #[cfg(not(unix))] #[pyfunction] fn f() {}",
            &["#[cfg(unix)]", "usesuper::f;", "#[cfg(not(unix))]", "usesuper::f;"],
        );
        check("#[cfg_attr(unix, pyfunction)] fn f() {}", &["#[cfg(unix)]", "usesuper::f;"]);
        check("/* #[pyfunction] fn no() {} */ #[pyfunction] fn r#type() {}", &["usesuper::r#type;"]);
        check(
            "mod a { #[pyfunction] pub fn f() {} #[pyfunction] fn hidden() {} #[pyfunction(name = \"h\")] pub fn g() {} } \
             #[pyfunction] fn f() {} mod b { #[pyfunction] pub fn g() {} #[pyclass] pub struct S; }",
            &["usesuper::a::g;", "usesuper::f;", "usesuper::b::g;", "usesuper::b::S;"],
        );
        check("fn plain() {}", &[]);
    }

    #[test]
    fn a_complete_script_is_compiled_directly() {
        let module = "#[pymodule] fn m(x: &Bound<'_, PyModule>) -> PyResult<()> { Ok(()) }";
        let check = |source: &str, direct: bool| assert_eq!(root(source) == Root::Direct, direct, "{source}");
        check(&format!("use pyo3::prelude::*;\n{module}"), true);
        check(&format!("// rustimport\n{module}"), true);
        check(&format!("// rustimport:pyo3\nuse pyo3::{{types::*, prelude::*}};\n{module}"), true);
        check(&format!("// rustimport:pyo3\n{module}"), false);
        check("// rustimport:pyo3\nuse pyo3::prelude::*;", false);
        check("// rustimport:pyo3\nfn broken( {", false);
        check("//! rustimport:pyo3\nfn broken( {", true);
    }

    #[test]
    fn a_copy_keeps_its_paths_and_lines() {
        let source = "#!/usr/bin/env x\n//! rustimport:pyo3\n#![allow(dead_code)]\nmod a; pub mod b { mod c; }\n\
                      #[path = \"d/e.rs\"] pub(crate) mod f;\nconst S: &[&str] = &[include_str!(\"é.txt\",), \
                      concat!(include_str!(\"g.txt\"))];";
        let Root::Copied(copy) = root(source) else { panic!("not copied") };
        let copy = copy.replace("\\\\", "/");
        for part in [
            "\n#[path = \"/s/a.rs\"] mod a; pub mod b { #[path = \"/s/b/c.rs\"] mod c; }\n",
            "#[path = \"/s/d/e.rs\"] pub(crate) mod f;",
            "include_str!(\"/s/é.txt\",), concat!(include_str!(\"/s/g.txt\"))",
        ] {
            assert!(copy.contains(part), "{part}\n{copy}");
        }
        let line_of = |text: &str| text.lines().position(|line| line.starts_with("const S"));
        assert_eq!(line_of(source), line_of(&copy));
    }

    #[test]
    fn a_copy_finds_the_same_modules_or_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.rs");
        let flat = folder.path().join("a.rs");
        let script = script("//! rustimport:pyo3\nmod a;");
        let check = |child: &str, expected: bool| {
            std::fs::write(&flat, child).unwrap();
            let found = script.root(&path, "m", None, &|| Ok(String::new())).and(script.as_library(
                &path,
                &folder.path().join("src"),
                "m",
            ));
            let refused = found.as_ref().is_err_and(|error| error.to_string().contains("has modules of its own"));
            assert!(found.is_ok() == expected && refused != expected, "{child}");
        };
        check("fn f() {} mod inside { fn g() {} }", true);
        check("#[path = \"b.rs\"] mod z;", true);
        check("mod z;", false);
        check("mod inside { pub mod z; }", false);
        check("mod inside { #[path = \"b.rs\"] mod z; }", false);
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::rename(&flat, folder.path().join("a/mod.rs")).unwrap();
        std::fs::write(folder.path().join("a/mod.rs"), "mod z;").unwrap();
        assert!(matches!(script.root(&path, "m", None, &|| Ok(String::new())), Ok(Root::Copied(_))));
    }

    #[test]
    fn declared_modules_are_found() {
        let check =
            |source: &str, expected: bool| assert_eq!(script(source).declares_module("m"), expected, "{source}");
        check("#[pymodule] fn m() {}", true);
        check("#[pyo3::pymodule] mod m {}", true);
        check("#[pymodule] fn other() {}", false);
        check("#[pymodule] #[pyo3(name = \"m\")] fn other() {}", true);
        check("#[pymodule(name = \"m\")] mod other {}", true);
        check("#[unsafe(no_mangle)] pub extern \"C\" fn PyInit_m() -> *mut c_void { todo!() }", true);
        check("// #[pymodule] fn m() {}", false);
        check("fn m() {} #[pyfunction] fn pymodule() {}", false);
    }

    #[test]
    fn modules_that_cannot_be_imported_are_refused() {
        let check = |source: &str, message: &str| {
            let error = script(source).check_module(Path::new("/s/m.rs"), "m").unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        };
        check("// rustimport\nfn f() {}", "declares no Python module");
        check("// rustimport:pyo3\n#[pymodule] fn other() {}", "declares the module `other`, but is imported as `m`");
        let twice = "// rustimport:pyo3\nmod a { #[pyfunction] pub fn g() {} } mod b { #[pyfunction] pub fn g() {} }";
        let error = script(twice).root(Path::new("/s/m.rs"), "m", None, &|| Ok(String::new())).unwrap_err();
        assert!(error.to_string().ends_with("exports `g` twice: a::g and b::g"), "{error}");
        let deep = "(".repeat(5000) + &")".repeat(5000);
        assert!(!script(&format!("#[pymodule] fn m() {{ {deep} }}")).declares_module("m"));
        let fine = |source: &str| script(source).check_module(Path::new("/s/m.rs"), "m").unwrap();
        fine("// rustimport\nmake_module!(m);");
        fine("// rustimport:pyo3\nfn f() {}");
        fine("// rustimport\nfn broken( {");
        fine("// rustimport\nmod elsewhere;");
        fine("// rustimport\nmod inside { #[pymodule] mod m {} }");
    }
}
