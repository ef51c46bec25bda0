//! The C side of a script: what its `extern "C"` functions look like to a C compiler, and to cffi.

use std::path::Path;

use cbindgen::{Builder, Config, Language};

use crate::error::{Error, Result};
use crate::fs;

/// What cffi is told of a source: declarations alone, since it knows no preprocessor.
pub fn declarations(path: &Path) -> Result<String> {
    let config = Config { language: Language::C, documentation: false, no_includes: true, ..Config::default() };
    let text = generate(path, config)?;
    // Of constants it takes whole numbers.
    let is_known = |line: &&str| {
        let value = line.strip_prefix("#define ").and_then(|rest| rest.split_once(' ')).map(|(_, value)| value.trim());
        value.is_none_or(|value| value.parse::<i64>().is_ok())
    };
    Ok(text.lines().filter(is_known).collect::<Vec<_>>().join("\n"))
}

/// Writes the C header of a source, if it is not there already. A `cbindgen.toml` in the source's folder or above
/// decides how it looks. Returns whether it had to be written.
pub fn write(path: &Path, header: &Path) -> Result<bool> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let own = folder.ancestors().map(|parent| parent.join("cbindgen.toml")).find(|file| file.is_file());
    let config = match own {
        Some(file) => Config::from_file(&file).map_err(|error| {
            Error::project(&file, format!("{}: {error}", file.display()), "correct cbindgen's configuration")
        })?,
        None => Config { language: Language::C, pragma_once: true, cpp_compat: true, ..Config::default() },
    };
    let text = generate(path, config)?;
    if std::fs::read(header).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(false);
    }
    fs::put_users_file(header, text.as_bytes()).map_err(|error| {
        let message = format!("cannot write {}: {error}", header.display());
        Error::project(header, message, "give --header a file in a folder that exists, and where you may write")
    })?;
    Ok(true)
}

fn generate(path: &Path, config: Config) -> Result<String> {
    let made = Builder::new().with_config(config).with_src(path).generate().map_err(|error| {
        let message = format!("{}: no C declarations can be made: {error}", path.display());
        Error::project(path, message, "correct the source, or keep to types that C knows")
    })?;
    if made.dynamic_symbols_names().next().is_none() {
        return Err(Error::project(
            path,
            format!("{} has no functions for C", path.display()),
            "write `#[unsafe(no_mangle)] pub extern \"C\" fn …` at the root of the file",
        ));
    }
    let mut text = Vec::new();
    made.write(&mut text);
    Ok(String::from_utf8_lossy(&text).into_owned())
}
