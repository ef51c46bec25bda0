//! The files that cargo's configuration and variables name, and whose content changes what is built although cargo does
//! not look at it: programs in place of the compiler or the linker, and files of arguments (`@flags.txt`).

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::base::env_vars;
use crate::base::fs;
use crate::env::cargo_config::CargoConfig;

/// The named files that exist. `arguments` are the user's for rustc, and `folder` is cargo's working folder.
pub fn named_files(cargo_config: &CargoConfig, arguments: &[String], folder: &Path) -> Vec<PathBuf> {
    let mut found = Found::default();
    for path in &cargo_config.files {
        let text = fs::read_text(path).unwrap_or_default();
        // Most configuration has neither, and need not be parsed.
        if ["rustc", "linker", "rustflags"].iter().any(|word| text.contains(word))
            && let Ok(table) = text.parse()
        {
            // Relative to the folder that contains `.cargo`.
            found.add_configuration(&table, path.ancestors().nth(2).unwrap_or(folder));
        }
    }
    for (name, value) in env_vars::all() {
        if env_vars::names_program(&name) {
            found.add_program(&value, folder);
        } else if env_vars::names_flags(&name) {
            found.add_flags(value.split(['\u{1f}', ' ']), folder);
        }
    }
    found.add_flags(arguments.iter().map(String::as_str), folder);
    found.0.retain(|path| path.is_file());
    found.0.sort();
    found.0.dedup();
    found.0
}

#[derive(Default)]
struct Found(Vec<PathBuf>);

impl Found {
    fn add_configuration(&mut self, configuration: &Table, folder: &Path) {
        let table = |value: Option<&Value>| value.and_then(Value::as_table).cloned().unwrap_or_default();
        let targets = table(configuration.get("target"));
        let tables = targets.values().map(|target| table(Some(target)));
        for table in [table(configuration.get("build")), table(configuration.get("host"))].into_iter().chain(tables) {
            for key in ["rustc", "rustc-wrapper", "rustc-workspace-wrapper", "linker"] {
                if let Some(program) = table.get(key).and_then(Value::as_str) {
                    self.add_program(program, folder);
                }
            }
            match table.get("rustflags") {
                Some(Value::Array(words)) => self.add_flags(words.iter().filter_map(Value::as_str), folder),
                Some(Value::String(words)) => self.add_flags(words.split(' '), folder),
                _ => {}
            }
        }
    }

    /// A name without a folder is searched on `PATH`, as cargo does.
    fn add_program(&mut self, program: &str, folder: &Path) {
        let path = Path::new(program);
        // It keeps what rustc compiled, and changes nothing in that.
        if program.is_empty() || path.file_stem().is_some_and(|stem| stem == "sccache") {
            return;
        }
        let is_bare = path.components().count() == 1 && !program.contains('/');
        self.0.extend(if is_bare { which::which(program).ok() } else { Some(folder.join(path)) });
    }

    fn add_flags<'a>(&mut self, words: impl Iterator<Item = &'a str>, folder: &Path) {
        for word in words {
            if let Some(file) = word.strip_prefix('@') {
                self.0.push(folder.join(file));
            } else if let Some(program) = word.strip_prefix("-Clinker=").or_else(|| word.strip_prefix("linker=")) {
                self.add_program(program, folder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_configuration() {
        let check = |text: &str, expected: &[&str]| {
            let mut found = Found::default();
            found.add_configuration(&text.parse().unwrap(), Path::new("/s"));
            assert_eq!(found.0, expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{text}");
        };
        check("[build]\njobs = 1", &[]);
        check("[build]\nrustc-wrapper = 'tools/wrap.sh'", &["/s/tools/wrap.sh"]);
        check("[build]\nrustc-wrapper = 'sccache'", &[]);
        check(
            "[target.'cfg(unix)']\nlinker = './link'\nrustflags = ['-g', '@flags.txt']",
            &["/s/link", "/s/flags.txt"],
        );
        check("[build]\nrustflags = '-C linker=/x/link -Clinker=a/b @/t'", &["/x/link", "/s/a/b", "/t"]);
    }
}
