//! Reads cargo's JSON messages: the compiler's diagnostics and the list of units. It does not read text output; see
//! [`crate::output`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::diagnostic::{Diagnostic as RustcDiagnostic, DiagnosticLevel};
use cargo_metadata::{CompilerMessage, Message};

use crate::base::diagnostic::Diagnostic;
use crate::base::text::{percent_decoded, without_ansi};
use crate::freshness::cargo_layout::Directories;
use crate::freshness::unit::{Unit, UnitKind, is_vendored};
use crate::package::manifest;

/// The contents of cargo's JSON output of one build.
#[derive(Debug, Default)]
pub struct Messages {
    pub diagnostics: Vec<Diagnostic>,
    /// Of local and of vendored packages.
    pub units: Vec<Unit>,
    /// The compiled units of registry packages.
    pub foreign_units: Vec<Unit>,
    /// The `out` folders of the build scripts of registry packages.
    pub foreign_outputs: Vec<PathBuf>,
}

impl Messages {
    pub fn extend(&mut self, other: Self) {
        self.diagnostics.extend(other.diagnostics);
        self.units.extend(other.units);
        self.foreign_units.extend(other.foreign_units);
        self.foreign_outputs.extend(other.foreign_outputs);
    }
}

/// Reads cargo's messages. A relative file name is resolved in the first of `folders` that contains it. `package` is
/// the folder of generated code, and `directories` are those that cargo writes to.
pub fn read_messages(stdout: &[u8], folders: &[&Path], package: &Path, directories: &Directories) -> Messages {
    let mut messages = Messages::default();
    // The manifests of vendored packages.
    let mut manifests = BTreeMap::new();
    for message in Message::parse_stream(stdout).flatten() {
        match message {
            Message::CompilerMessage(CompilerMessage { message, .. }) => {
                // "aborting due to 2 previous errors", "3 warnings emitted"
                let is_summary = message.spans.is_empty() && message.code.is_none() && message.children.is_empty();
                let aborting = message.message.starts_with("aborting due to") || message.message.ends_with(" emitted");
                if !(is_summary && aborting) {
                    messages.diagnostics.push(diagnostic(message, folders, package));
                }
            }
            Message::CompilerArtifact(artifact) => {
                let Some(made) = artifact.filenames.first() else { continue };
                let id = &artifact.package_id.repr;
                let manifest = artifact.manifest_path.into_std_path_buf();
                let local = local_package(id);
                let vendored = local.is_none() && is_vendored(&manifest);
                let is_users = local.is_some() || vendored;
                let unit = Unit {
                    package: local.unwrap_or_else(|| foreign_package(id)),
                    root: Some(artifact.target.src_path.clone().into()),
                    manifest: manifest.clone(),
                    profile: directories.profile_of(made.as_std_path()),
                    made: made.as_std_path().to_owned(),
                    kind: UnitKind::Compiled,
                    vendored,
                };
                if vendored {
                    manifests.insert(id.clone(), manifest);
                }
                if is_users { messages.units.push(unit) } else { messages.foreign_units.push(unit) }
            }
            Message::BuildScriptExecuted(script) => {
                let made = script.out_dir.into_std_path_buf();
                // Empty if cargo's configuration overrides the build script.
                if made.as_os_str().is_empty() {
                    continue;
                }
                let id = &script.package_id.repr;
                let local = local_package(id);
                // Its program was compiled, and so named, before.
                let manifest = match &local {
                    Some(_) => Some(local_folder(id).join("Cargo.toml")),
                    None => manifests.get(id).cloned(),
                };
                match manifest {
                    Some(manifest) => messages.units.push(Unit {
                        vendored: local.is_none(),
                        package: local.unwrap_or_else(|| foreign_package(id)),
                        manifest,
                        root: None,
                        profile: directories.profile_of(&made),
                        made,
                        kind: UnitKind::Ran,
                    }),
                    None => messages.foreign_outputs.push(made),
                }
            }
            _ => {}
        }
    }
    messages
}

/// The name in a package id of a local package: `path+file:///a/b#name@1.0.0`, or `…/name#1.0.0`.
fn local_package(id: &str) -> Option<String> {
    let (place, after) = id.strip_prefix("path+file://")?.rsplit_once('#')?;
    let name = after.split_once('@').map_or_else(|| place.rsplit('/').next().unwrap_or(place), |(name, _)| name);
    Some(name.to_owned())
}

/// The name in a package id of a registry package: `registry+https://…#name@1.0.0`.
fn foreign_package(id: &str) -> String {
    let after = id.rsplit_once('#').map_or(id, |(_, after)| after);
    after.split('@').next().unwrap_or_default().to_owned()
}

fn local_folder(id: &str) -> PathBuf {
    let place = id.strip_prefix("path+file://").and_then(|rest| rest.rsplit_once('#'));
    let path = percent_decoded(place.map_or("", |(place, _)| place));
    PathBuf::from(String::from_utf8_lossy(&path).into_owned())
}

fn diagnostic(message: RustcDiagnostic, folders: &[&Path], package: &Path) -> Diagnostic {
    let span = message.spans.iter().find(|span| span.is_primary).or(message.spans.first());
    // The user did not write that file.
    let ansi = message.rendered.unwrap_or_default().replace(manifest::GENERATED, "the generated module");
    Diagnostic {
        level: match message.level {
            DiagnosticLevel::Ice => "internal compiler error",
            DiagnosticLevel::Error => "error",
            DiagnosticLevel::Warning => "warning",
            DiagnosticLevel::FailureNote => "failure-note",
            DiagnosticLevel::Note => "note",
            DiagnosticLevel::Help => "help",
            _ => "unknown",
        }
        .into(),
        code: message.code.map(|code| code.code),
        message: message.message,
        file: span.map(|span| users_path(&span.file_name, folders, package)),
        line: span.map(|span| span.line_start),
        column: span.map(|span| span.column_start),
        rendered: without_ansi(&ansi),
        rendered_ansi: ansi,
    }
}

fn users_path(name: &str, folders: &[&Path], package: &Path) -> PathBuf {
    if name == manifest::GENERATED {
        return package.join(name);
    }
    // A crate is compiled as its mirror in the cache, whose links lead to the user's files.
    let mirrored = package.ancestors().take_while(|parent| parent.join("Cargo.toml").exists());
    let mut mirrored = mirrored.map(|parent| parent.join(name)).filter_map(|path| std::fs::canonicalize(path).ok());
    let beside = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
    beside.or_else(|| mirrored.next()).unwrap_or_else(|| folders[0].join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_ids() {
        let check = |id: &str, name: Option<&str>| assert_eq!(local_package(id).as_deref(), name, "{id}");
        check("path+file:///tmp/a%20b#m_1@0.1.0", Some("m_1"));
        check("path+file:///tmp/helper#0.1.0", Some("helper"));
        check("registry+https://github.com/rust-lang/crates.io-index#pyo3@0.30.1", None);
        assert_eq!(local_folder("path+file:///tmp/a%20b#m_1@0.1.0"), Path::new("/tmp/a b"));
    }

    #[test]
    fn messages() {
        let json = br#"{"reason":"compiler-message","package_id":"path+file:///e#m@0.1.0","manifest_path":"/e/Cargo.toml","target":{"kind":["cdylib"],"crate_types":["cdylib"],"name":"m","src_path":"/s/m.rs","edition":"2021","doc":true,"doctest":false,"test":true},"message":{"rendered":"\u001b[1merror\u001b[0m: bad","$message_type":"diagnostic","children":[],"level":"error","message":"bad","spans":[{"byte_end":1,"byte_start":0,"column_end":2,"column_start":5,"expansion":null,"file_name":"m.rs","is_primary":true,"label":null,"line_end":3,"line_start":3,"suggested_replacement":null,"suggestion_applicability":null,"text":[]}],"code":{"code":"E0308","explanation":null}}}
not json
{"reason":"compiler-message","package_id":"path+file:///e#m@0.1.0","manifest_path":"/e/Cargo.toml","target":{"kind":["cdylib"],"crate_types":["cdylib"],"name":"m","src_path":"/s/m.rs","edition":"2021","doc":true,"doctest":false,"test":true},"message":{"rendered":"error: aborting due to 1 previous error","$message_type":"diagnostic","children":[],"level":"error","message":"aborting due to 1 previous error","spans":[],"code":null}}
"#;
        let messages = read_messages(json, &[Path::new("/s")], Path::new("/e"), &Directories::both(Path::new("/t")));
        let [diagnostic] = messages.diagnostics.as_slice() else { panic!("{messages:?}") };
        assert_eq!(diagnostic.file.as_deref(), Some(Path::new("/s/m.rs")));
        assert_eq!((diagnostic.line, diagnostic.column), (Some(3), Some(5)));
        assert_eq!((diagnostic.code.as_deref(), diagnostic.rendered.as_str()), (Some("E0308"), "error: bad"));
    }
}
