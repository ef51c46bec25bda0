//! Parses rustc's dep-info files and the output of build scripts, which list the files and variables that were read.
//! Where these files are is not known here ([`super::cargo_layout`]).
//!
//! The formats: rustc's `--emit=dep-info` (a Makefile, with `# env-dep:` comments), and the chapter on build scripts in
//! the Cargo book (`cargo::rerun-if-changed`, `cargo::rerun-if-env-changed`).

use std::path::{Path, PathBuf};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct DepInfo {
    pub files: Vec<PathBuf>,
    /// The names of environment variables that were read, whether set or not.
    pub variables: Vec<String>,
    /// The same with their values; `None` if unset.
    pub environment: Vec<(String, Option<String>)>,
    /// The names of variables that a build script sets for the compiler.
    pub sets: Vec<String>,
    /// Whether a build script links its package to a dynamic library in a folder that it names.
    pub links: bool,
    /// Whether a build script links something other than Python, which it may have compiled for this machine.
    pub adds_library: bool,
    /// The values that the code may contain. `OUT_DIR` is excluded: generated code is included by its path.
    pub values: Vec<String>,
}

/// Parses a `.d` file of the package at `package`. Relative paths are relative to rustc's working folder: the package,
/// or the root of its workspace.
pub fn parse_dep_info(text: &str, package: &Path) -> DepInfo {
    let mut info = DepInfo::default();
    for line in text.lines() {
        if let Some(variable) = line.strip_prefix("# env-dep:") {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            info.variables.push(unescape_variable(name));
            let known = variable.split_once('=').map(|(_, value)| unescape_variable(value));
            info.environment.push((unescape_variable(name), known));
            if !value.is_empty() && name != "OUT_DIR" {
                info.values.push(unescape_variable(value));
            }
        } else if let Some(file) = line.strip_suffix(':')
            && !line.starts_with('#')
        {
            // After the rules, each file is listed again as a target without prerequisites.
            info.files.push(locate(Path::new(&unescape_file(file)), package));
        }
    }
    info
}

/// Parses the `.d` file that cargo writes next to a finished library: every file of the local packages that it was
/// built from, and the `rerun-if-changed` paths of their build scripts. Relative paths (`build.dep-info-basedir`) are
/// kept.
pub fn parse_artifact_dep_info(text: &str) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut has_rule = false;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (_, list) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))?;
        has_rule = true;
        let mut words = list.split(' ').peekable();
        while let Some(word) = words.next() {
            let mut file = word.to_owned();
            while file.ends_with('\\') && words.peek().is_some() {
                file.pop();
                file = format!("{file} {}", words.next().unwrap_or_default());
            }
            if !file.is_empty() {
                files.push(PathBuf::from(file));
            }
        }
    }
    has_rule.then_some(files)
}

/// Resolves a path in a `.d` file. If rustc ran at the workspace's root, the path begins with the member's folder.
fn locate(file: &Path, package: &Path) -> PathBuf {
    let roots = package.ancestors().skip(1);
    let mut seen = roots.filter(|root| package.strip_prefix(root).is_ok_and(|member| file.starts_with(member)));
    let own = package.join(file);
    seen.next().map(|root| root.join(file)).filter(|path| path.exists() || !own.exists()).unwrap_or(own)
}

/// Undoes Makefile quoting. rustc only uses a backslash before a space.
fn unescape_file(text: &str) -> String {
    text.replace("\\ ", " ")
}

fn unescape_variable(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\r", "\r").replace("\\\\", "\\")
}

/// Parses the output of a build script. Relative paths are relative to its package's folder. `cargo:` is the older form
/// of `cargo::`.
pub fn parse_build_script_output(text: &str, package: &Path) -> DepInfo {
    let mut info = DepInfo::default();
    let (mut has_library, mut has_folder) = (false, false);
    for line in text.lines() {
        let line = line.trim();
        let Some(instruction) = line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:")) else {
            continue;
        };
        match instruction.split_once('=') {
            Some(("rerun-if-changed", path)) => info.files.push(package.join(path)),
            Some(("rerun-if-env-changed", name)) => info.variables.push(name.to_owned()),
            Some(("rustc-env", variable)) => {
                info.sets.push(variable.split('=').next().unwrap_or_default().to_owned());
            }
            Some(("rustc-link-search", _)) => has_folder = true,
            Some((other, _)) if other == "rustc-flags" || other.contains("link-arg") => info.adds_library = true,
            Some(("rustc-link-lib", library)) => {
                has_library |= !library.starts_with("static");
                // pyo3 names it on Windows.
                let name = library.rsplit(['=', ':']).next().unwrap_or_default();
                info.adds_library |= !name.starts_with("python");
            }
            _ => {}
        }
    }
    info.links = has_library && has_folder;
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info() {
        let text = "/t/libm.so: __rustimport.rs /s/a\\ b.rs C:\\x.rs\n\n__rustimport.rs:\n/s/a\\ b.rs:\nC:\\x.rs:\n\n\
                    # env-dep:FEATURE=a=b\\nc\n# env-dep:UNSET\n# checksum:x file_len:3 y\n";
        let info = parse_dep_info(text, Path::new("/p"));
        assert_eq!(
            info.files,
            [Path::new("/p/__rustimport.rs"), Path::new("/s/a b.rs"), &Path::new("/p").join("C:\\x.rs")]
        );
        let member = parse_dep_info("x: y\n\nmembers/p/src/lib.rs:\nsrc/lib.rs:\n", Path::new("/ws/members/p"));
        assert_eq!(member.files, [Path::new("/ws/members/p/src/lib.rs"), Path::new("/ws/members/p/src/lib.rs")]);
        assert_eq!(info.variables, ["FEATURE", "UNSET"]);
        assert_eq!(info.values, ["a=b\nc"]);
    }

    #[test]
    fn artifact_dep_info() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let expected = expected.map(|files| files.iter().map(PathBuf::from).collect::<Vec<_>>());
            assert_eq!(parse_artifact_dep_info(text), expected, "{text}");
        };
        check("/t/libm.so: /s/a\\ b.rs /s/m.rs\n", Some(&["/s/a b.rs", "/s/m.rs"]));
        check("C:\\t\\m.dll: C:\\s\\m.rs\n", Some(&["C:\\s\\m.rs"]));
        check("/t/libm.so:\n", Some(&[]));
        check("", None);
        check("nonsense", None);
    }

    #[test]
    fn build_script_output() {
        let text = "hello\ncargo:rerun-if-changed=data/x.txt\ncargo::rerun-if-env-changed=CC\r\ncargo:rustc-env=A=b\n";
        let info = parse_build_script_output(text, Path::new("/p"));
        assert_eq!(info.files, [Path::new("/p/data/x.txt")]);
        assert_eq!(info.variables, ["CC"]);
        assert!(!info.adds_library);
        for (line, expected) in [
            ("cargo:rustc-link-lib=static=foo", true),
            ("cargo::rustc-link-lib=z", true),
            ("cargo:rustc-link-lib=python3:python311", false),
            ("cargo:rustc-link-lib=dylib=python3.11", false),
            ("cargo:rustc-link-arg=/s/libfoo.a", true),
            ("cargo::rustc-cdylib-link-arg=-lfoo", true),
            ("cargo:rustc-flags=-l foo", true),
            ("cargo:rustc-link-search=native=/s", false),
        ] {
            assert_eq!(parse_build_script_output(line, Path::new("/p")).adds_library, expected, "{line}");
        }
    }
}
