//! Generates C declarations of a script's `extern "C"` functions: for C compilers, and for the module with which the
//! template `rustimport:cffi` calls them.

use std::path::Path;

use cbindgen::{Builder, Config, Language};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::script::parse::Script;

/// The declarations for cffi, without preprocessor directives, which it does not support.
pub fn declarations(path: &Path) -> Result<String> {
    let config = Config { language: Language::C, documentation: false, no_includes: true, ..Config::default() };
    let text = generate(path, config)?;
    // The exception are `#define`s of integers, which cffi supports.
    let is_known = |line: &&str| {
        let value = line.strip_prefix("#define ").and_then(|rest| rest.split_once(' ')).map(|(_, value)| value.trim());
        value.is_none_or(|value| value.parse::<i64>().is_ok())
    };
    Ok(text.lines().filter(is_known).collect::<Vec<_>>().join("\n"))
}

/// Identifies a header that was generated here. A header without this text belongs to the user.
const MARK: &str = "Written by rustimport";

/// Writes the C header of a script, unless it is up to date. A `cbindgen.toml` in the script's folder or above
/// configures its format. Returns whether it was written. `force` also replaces a file that was not generated here.
pub fn write(path: &Path, header: &Path, force: bool) -> Result<bool> {
    if !Script::read(path)?.is_parsed() {
        let message = format!("{} cannot be read as Rust", path.display());
        return Err(Error::project(path, message, "build it without --header to see the compiler's error"));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let own = folder.ancestors().map(|parent| parent.join("cbindgen.toml")).find(|file| file.is_file());
    let mut config = match own {
        Some(file) => Config::from_file(&file).map_err(|error| {
            Error::project(&file, format!("{}: {error}", file.display()), "correct cbindgen's configuration")
        })?,
        None => Config { language: Language::C, pragma_once: true, cpp_compat: true, ..Config::default() },
    };
    let name = path.file_name().unwrap_or_default().display();
    config.autogen_warning = Some(format!("/* {MARK} from {name}: edit that. */"));
    let text = generate(path, config)?;
    let found = fs::read(header).ok();
    if found.as_deref() == Some(text.as_bytes()) {
        return Ok(false);
    }
    let is_source =
        std::fs::canonicalize(header).is_ok_and(|header| std::fs::canonicalize(path).is_ok_and(|path| path == header));
    let is_ours = found.is_none_or(|found| memchr::memmem::find(&found, MARK.as_bytes()).is_some());
    if is_source || !(is_ours || force) {
        let hint = if is_source { "give --header another file" } else { "give --header another file, or add --force" };
        let message = format!("{} is there already, and rustimport did not write it", header.display());
        return Err(Error::project(header, message, hint));
    }
    fs::put_users_file(header, text.as_bytes()).map_err(|error| {
        let message = format!("cannot write {}: {error}", header.display());
        Error::project(header, message, "give --header a file in a folder that exists and that you can write to")
    })?;
    Ok(true)
}

fn generate(path: &Path, config: Config) -> Result<String> {
    let bindings = Builder::new().with_config(config).with_src(path).generate().map_err(|error| {
        let message = format!("{}: C declarations cannot be generated: {error}", path.display());
        Error::project(path, message, "correct the source, or use only types that C supports")
    })?;
    if bindings.dynamic_symbols_names().next().is_none() {
        return Err(Error::project(
            path,
            format!("{} has no functions for C", path.display()),
            "write `#[unsafe(no_mangle)] pub extern \"C\" fn …` at the root of the file",
        ));
    }
    let mut text = Vec::new();
    bindings.write(&mut text);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The Rust code of the module that exports the `extern "C"` functions of the script at `path`.
pub fn module(path: &Path, stem: &str) -> Result<String> {
    let declarations = declarations(path)?;
    let hashes = "#".repeat(8);
    let text = format!("r{hashes}\"{declarations}\"{hashes}");
    Ok(include_str!("templates/cffi.txt").replace("{name}", stem).replace("{declarations}", &text))
}
