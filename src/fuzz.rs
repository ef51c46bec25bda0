//! Passes arbitrary input to every parser of external data. No input may cause a panic, an endless loop, or a path
//! outside of the expected folder. `cargo test` runs these functions with random input, `fuzz/` with coverage-guided
//! input.

use std::path::Path;

use toml::Table;

use crate::base::fs;
use crate::base::text;
use crate::build::messages;
use crate::env::interpreter::Interpreter;
use crate::env::request::{Request, SourceKind};
use crate::env::settings::{BuildSettings, Settings};
use crate::freshness::cargo_layout::Directories;
use crate::freshness::dep_info;
use crate::freshness::record::Record;
use crate::freshness::stamp;
use crate::output::introspection;
use crate::package::cargo_lock;
use crate::package::manifest;
use crate::projects::installation::Installation;
use crate::script::parse::{Root, Script};

const SOURCE: &str = "/s/m.rs";

/// A script: its header, its module, and the package that is generated for it.
pub fn script(data: &[u8]) {
    let path = Path::new(SOURCE);
    let Ok(script) = Script::parse(path, data) else { return };
    let _ = script.check_module(path, "m");
    script.declares_module("m");
    for cell in [None, Some(Path::new("/n"))] {
        let Ok(root) = script.root(path, "m", cell, &|| Ok(String::new())) else { return };
        if let Root::Wrapped(code) | Root::Copied(code) = root {
            assert_ne!(code, "");
        }
    }
    let settings = BuildSettings { profile: "dev".into(), pyo3: ">=0.23".into(), ..BuildSettings::default() };
    let generated = manifest::cargo_manifest(&request(), &script, &settings, path);
    // No header can change the package's name or the file that is built, also after the text is parsed again.
    assert_eq!(generated["package"]["name"].as_str(), Some("m_0123"));
    assert_eq!(generated["lib"]["path"].as_str(), Some(SOURCE));
    assert_eq!(generated.to_string().parse::<Table>().ok(), Some(generated));
}

/// rustc's dep-info, and the output of build scripts.
pub fn dep_info(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for found in
        [dep_info::parse_dep_info(&text, Path::new("/p")), dep_info::parse_build_script_output(&text, Path::new("/p"))]
    {
        // `X:` is the current folder of a drive.
        assert!(found.files.iter().all(|file| file.has_root() || cfg!(windows)));
    }
}

/// Cargo's JSON messages, one per line.
pub fn messages(data: &[u8]) {
    messages::read_messages(data, &[Path::new("/s")], Path::new("/p"), &Directories::both(Path::new("/t")));
    text::without_ansi(&String::from_utf8_lossy(data));
}

/// A library with type information, and what a module says of itself.
pub fn introspection(data: &[u8]) {
    let mut library = u32::try_from(data.len()).unwrap_or_default().to_le_bytes().to_vec();
    library.extend(data);
    let _ = introspection::stubs(&library, "m", None);
    if let Ok(described) = serde_json::from_slice(data) {
        let _ = introspection::stubs(&library, "m", Some(&described));
    }
}

pub fn stamp(data: &[u8]) {
    stamp::files_are_unchanged(data);
    let path = String::from_utf8_lossy(data);
    let escaped = text::escape(Path::new(&*path));
    assert!(!escaped.contains(['\n', '\r', '\t']));
    assert_eq!(text::unescape(&escaped), Path::new(&*path));
}

/// The metadata of an installed distribution.
pub fn installation(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(folder) = crate::base::paths::folder_of_url(&text) {
        assert!(folder.is_absolute());
    }
    in_a_file("direct_url.json", data, |file| {
        let dist_info = file.parent().expect("it is in a folder");
        fs::write(&dist_info.join("WHEEL"), b"Generator: maturin").expect("it can be written");
        fs::write(&dist_info.join("RECORD"), data).expect("it can be written");
        Installation::read(dist_info);
    });
}

/// A lock file, both as the common one and as that of a script.
pub fn lock_file(data: &[u8]) {
    in_a_file("Cargo.lock", data, |common| {
        let lock = common.with_file_name("own.lock");
        fs::write(&lock, data).expect("it can be written");
        let manifest: Table = "[dependencies]\na = '1'\nb = { path = 'b' }".parse().expect("that is a manifest");
        cargo_lock::seed(&lock, common, &manifest).expect("the folder can be written");
        cargo_lock::closure(&lock, &manifest);
        cargo_lock::share(&lock, common).expect("the folder can be written");
    });
}

/// A record that this program did not write: it must not be accepted.
pub fn record(data: &[u8]) {
    in_a_file("record", data, |file| assert_eq!(Record::read(file), None));
}

fn in_a_file(name: &str, data: &[u8], read: impl Fn(&Path)) {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let file = folder.path().join(name);
    fs::write(&file, data).expect("it can be written");
    read(&file);
}

/// A request for a script, for tests.
pub fn request() -> Request {
    Request {
        kind: SourceKind::Script,
        root: "/s/m.rs".into(),
        cell: None,
        installed: None,
        files: None,
        module: "pkg.m".into(),
        cache: "/c".into(),
        shared_cache: None,
        entry: "m-0123".into(),
        context: String::new(),
        settings: Settings::default(),
        interpreter: Interpreter {
            key: "k".into(),
            implementation: "CPython".into(),
            version: (3, 11),
            extension_suffix: ".so".into(),
            base_prefix: "/usr".into(),
            prefix: "/usr".into(),
            pointer_width: 64,
            build_flags: Vec::new(),
            script_folders: Vec::new(),
            c_library: None,
            pre_release: None,
            siphash13: true,
        },
        marked: true,
        in_place: true,
        wheels: None,
        newest: false,
        force: false,
        may_build: true,
        lock_timeout: crate::base::lock::Timeout::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that are partly valid: words of the format, mixed with random bytes and text.
    fn like(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            6 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..8),
            1 => "\\PC{0,8}".prop_map(String::into_bytes),
        ];
        proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
    }

    /// Runs `read` with random input. The variable `PROPTEST_CASES` sets the number of inputs.
    fn check(words: &'static [&'static str], read: fn(&[u8])) {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        runner
            .run(&like(words), |data| {
                read(&data);
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn scripts() {
        const WORDS: &[&str] = &[
            "// rustimport",
            ":pyo3",
            "\n",
            "\n//: ",
            "[package]",
            "[[package]]",
            "[lib]",
            "[dependencies]",
            "name",
            "path",
            "workspace",
            "profile",
            "build",
            "version",
            " = ",
            "\"../x\"",
            "'''",
            "{",
            "}",
            "[",
            "]",
            ".",
            "1",
            "\n//d: ",
            "**/*",
            "[!",
            "#![allow(x)]",
            "#!/bin/sh",
            "/*",
            "*/",
            "\u{feff}",
            "#[pyfunction] ",
            "#[pymodule] ",
            "mod m ",
            "fn f() ",
            "pub ",
            "#[pyo3(name = \"m\")]",
            "#[cfg_attr(x, pyclass)]",
            "struct S;",
            "include!(\"x\");",
            "PyInit_m",
            "r#\"",
            "'",
            "\"",
            "\\",
            "é",
            "\r\n",
            "#[path = \"x\"] mod y;",
            "use pyo3::prelude::*;",
        ];
        check(WORDS, script);
    }

    #[test]
    fn dep_infos() {
        check(
            &["# env-dep:", "X", "=", ":", "\n", "\\", " ", "/a", "a/../", "cargo:", "cargo::", "rerun-if-changed="],
            dep_info,
        );
    }

    #[test]
    fn cargos_messages() {
        const WORDS: &[&str] = &[
            "{\"reason\":",
            "\"compiler-message\"",
            "\"compiler-artifact\"",
            "\"build-script-executed\"",
            ",",
            "}",
            "{",
            "[",
            "]",
            "\"package_id\":",
            "\"path+file:///%zz#\"",
            "\n",
            "\"message\":",
            "null",
            "\u{1b}[",
            "m",
            "1;31",
        ];
        check(WORDS, messages);
    }

    #[test]
    fn type_information() {
        const WORDS: &[&str] = &[
            "{\"type\":\"module\",\"name\":\"m\",\"id\":\"1\",\"members\":[",
            "{\"type\":\"function\",\"name\":\"f\",\"original\":\"f\",\"arguments\":{\"args\":[{\"name\":\"from\"}]}}",
            "{\"type\":\"class\",\"name\":\"C\",\"members\":[",
            "\"1\"",
            "null",
            ",",
            "]}",
            "}",
            "{",
            "\0",
        ];
        check(WORDS, introspection);
    }

    #[test]
    fn stamps() {
        check(
            &["rustimport-stamp 2 m\n", "F ", "D ", "L ", "V\t", "\t", "\n", "%", "%0A", "%FF", "-", "9", " ", "/etc"],
            stamp,
        );
    }

    #[test]
    fn installations() {
        const WORDS: &[&str] = &[
            "{\"url\": ",
            "\"",
            "file://",
            "localhost",
            "/p",
            "%20",
            "%",
            "C:",
            "#",
            "?",
            "\"dir_info\": {",
            "\"editable\": true",
            ",",
            "}",
            "x.pth,,\n",
            "../",
            "\n",
            "\"\"",
        ];
        check(WORDS, installation);
    }

    #[test]
    fn lock_files() {
        const WORDS: &[&str] = &[
            "version = 4\n",
            "[[package]]\n",
            "[package]\n",
            "name = \"a\"\n",
            "name = \"b\"\n",
            "version = \"1.0.0\"\n",
            "version = \"0.0\"\n",
            "version = \"é\"\n",
            "source = \"registry+x\"\n",
            "dependencies = [\"a\", \"b 1.0.0 (x)\"]\n",
            "dependencies = [1]\n",
            "checksum = 1\n",
            "\"",
            "[",
        ];
        check(WORDS, lock_file);
    }

    #[test]
    fn records() {
        check(&["format = 2\n", "# sha256 ", "\n", "[inputs]\n", "source = '/s'\n", "0123456789abcdef"], record);
    }

    #[test]
    fn long_and_deep() {
        const N: usize = 100_000;
        for (before, repeated, after) in [
            ("fn f() { x", "+1", " }"),
            ("fn f() { ", "!", "x }"),
            ("fn f() { ", "-", "1 }"),
            ("fn f() { x", ".a", " }"),
            ("fn f() { x", "?", " }"),
            ("fn f() { x", "=a", " }"),
            ("fn f() { ", "|x|", "x }"),
            ("fn f() { ", "if x {} else ", "{} }"),
            ("fn f() { ", "return ", "1 }"),
            ("type T = ", "&", "u8;"),
            ("type T = ", "A<", ""),
            ("type T = ", "fn() -> ", "u8;"),
            ("type T = ", "(", ""),
            ("#", "[", ""),
            ("", "mod m { ", ""),
            ("//: a = ", "[", ""),
            ("//: a", ".a", " = 1"),
            ("//: ", "[", ""),
            ("", "/*", ""),
            ("", "r#", "\""),
            ("use a", "::a", ";"),
            ("use ", "{a::", ";"),
        ] {
            script(
                format!("// rustimport:pyo3\n{before}{}{after}\n#[pyfunction] fn g() {{}}\n", repeated.repeat(N))
                    .as_bytes(),
            );
        }
        let deep = |open: &str| open.repeat(N).into_bytes();
        lock_file(&deep("["));
        lock_file(&deep("a = {"));
        installation(&deep("["));
        installation(&deep("{\"url\": "));
        messages(&deep("{\"reason\":"));
        record(&deep("# sha256 "));
    }
}
