//! Hints for failed builds: a table from the phrases of cargo and maturin to hints. The phrases of linkers are in
//! [`crate::output::linker`].

use crate::base::diagnostic::Diagnostic;
use crate::output::{cargo, rustc};

/// The hint if the compiler's errors explain the failure.
pub const FIX: &str = "fix the error and import again; the last good build is still in use";
pub const FIX_FIRST: &str = "fix the error and import again";

/// Phrases, and the hint for them.
struct Rule {
    /// At least one phrase of every group has to occur.
    phrases: &'static [&'static [&'static str]],
    /// Whether it applies only if cargo had not begun to compile: afterwards the phrase may be quoted code.
    before_compiling: bool,
    /// `{place}` is where dependencies are written, `{own}` is the prefix of such a line, `{folder}` is the owner of
    /// the folder that paths are relative to.
    hint: &'static str,
}

const fn rule(phrases: &'static [&'static [&'static str]], hint: &'static str) -> Rule {
    Rule { phrases, before_compiling: false, hint }
}

/// The first rule that applies is used.
const RULES: [Rule; 13] = [
    Rule {
        phrases: &[&["you're using offline mode", "note: offline mode (", "--offline was specified"]],
        before_compiling: true,
        hint: "CARGO_NET_OFFLINE or cargo's configuration keeps cargo offline, and something has to be downloaded: allow the \
               network once",
    },
    Rule {
        phrases: &[&["no matching package", "failed to select a version"], &["(which is replacing registry"]],
        before_compiling: true,
        hint: "cargo's configuration replaces the registry by one that does not have it: add it there (`cargo vendor`), or \
               name a version that is there in {place}, such as `{own}pyo3 = \"0.30\"`",
    },
    Rule {
        phrases: &[&["no matching package", "failed to select a version"]],
        before_compiling: true,
        hint: "check the names and versions in {place}",
    },
    Rule {
        phrases: &[&cargo::NETWORK],
        before_compiling: true,
        hint: "a dependency has to be downloaded, and the registry could not be reached: check the network, then import \
               again",
    },
    rule(
        &[&["too-recent versioned symbols"]],
        "link with zig, which supports older systems (--zig, after `python -m pip install ziglang`), or build in a manylinux \
         container",
    ),
    rule(
        &[&["newer than PyO3's maximum supported version"]],
        "this pyo3 does not know this version of Python: set a newer one in {place}, such as `{own}pyo3 = \"0.30\"`",
    ),
    rule(
        &[&["does not support the free-threaded build"]],
        "pyo3 supports Python without the GIL from 3.14 on: use that, or the ordinary build of this version",
    ),
    rule(&[&["does not contain this feature: pyo3/abi3"]], "--abi3 is for sources that use pyo3"),
    rule(&[&["Failed to find zig"]], "--zig needs zig: `python -m pip install ziglang`"),
    rule(
        &[&["target may not be installed"]],
        "the target's standard library is not installed: `rustup target add` installs it",
    ),
    rule(
        &[&["profile `"], &["is not defined"]],
        "profiles are dev, release, fast, small, and those defined in {place}: `{own}[profile.NAME]` with \
         `{own}inherits = \"release\"`",
    ),
    rule(
        &[&["failed to load manifest for dependency", "failed to read `"]],
        "the `path` of a dependency in {place} is relative to {folder} folder: check it",
    ),
    rule(&[&["failed to parse manifest", "invalid type", "unknown variant"]], "check {place}{together}"),
];

/// For a lack of memory, which looks like damage: files cannot be mapped. It is checked before that.
const MEMORY: Rule = rule(
    &[&[
        "Cannot allocate memory",
        "memory allocation of ",
        "failed to map segment from shared object",
        "only metadata stub found for `rlib` dependency",
    ]],
    "the compiler had too little memory: close other programs, or raise the limit of this process (`ulimit -v`) or container, and \
     import again; if there is enough, run `python -m rustimport cache clear` first",
);

/// For damaged files of an earlier build. It is checked before all other rules, also in the compiler's errors.
const DAMAGED: Rule = rule(
    &[&[
        "found invalid metadata files",
        "the compiler unexpectedly panicked",
        "failed to parse lock file",
        " changed between lock files",
    ]],
    "a file of an earlier build is damaged, for example after a power failure: run `python -m rustimport cache clear` and \
     import again; in a project, run `cargo clean`",
);

impl Rule {
    fn applies(&self, output: &str) -> bool {
        let occurs = |group: &&[&str]| group.iter().any(|phrase| output.contains(phrase));
        self.phrases.iter().all(occurs) && !(self.before_compiling && cargo::has_compiled(output))
    }

    fn fill(&self, is_script: bool) -> String {
        let of_script = [
            ("{place}", "the `//:` lines of the script"),
            ("{own}", "//: "),
            ("{folder}", "the script's"),
            ("{together}", ": together they form its Cargo.toml"),
        ];
        let of_package = [("{place}", "Cargo.toml"), ("{own}", ""), ("{folder}", "its"), ("{together}", "")];
        let words = if is_script { of_script } else { of_package };
        words.iter().fold(self.hint.to_owned(), |hint, (mark, word)| hint.replace(mark, word))
    }
}

/// The hint for a failed build with this output.
pub fn of(output: &str, diagnostics: &[Diagnostic], is_script: bool) -> String {
    let applies =
        |rule: &&Rule| rule.applies(output) || diagnostics.iter().any(|diagnostic| rule.applies(&diagnostic.rendered));
    if let Some(rule) = [&MEMORY, &DAMAGED].into_iter().find(applies) {
        return rule.fill(is_script);
    }
    if let Some(hint) = rustc::pyo3_hint(diagnostics, is_script) {
        return hint;
    }
    if let Some(name) = rustc::unlinked_crate(diagnostics) {
        if !is_script {
            return format!("if `{name}` is a crate, `cargo add {name}`; if it is a module, write `mod {name};`");
        }
        return format!(
            "if `{name}` is a crate, add it at the top of the script, above all code: `//: [dependencies]` and \
             `//: {name} = \"…\"` with its version; if it is a module, write `mod {name};`"
        );
    }
    if let Some(conflict) = cargo::pyo3_conflict(output) {
        let fix = if is_script {
            "write a version that both accept at the top of the script: `//: [dependencies]` and `//: pyo3 = \"…\"` (a \
             script without one requires rustimport's range)"
        } else {
            "set a version in Cargo.toml that both accept"
        };
        return format!("a library can have one version of pyo3: {conflict}; {fix}");
    }
    if let Some(rule) = RULES.iter().find(|rule| rule.applies(output)) {
        return rule.fill(is_script);
    }
    if diagnostics.iter().any(|diagnostic| diagnostic.level.contains("error")) {
        FIX.into()
    } else {
        "RUSTIMPORT_VERBOSE=1 shows everything that maturin and cargo print".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs of several versions of cargo and rustc, each named `<what happened>.<version>.txt`, with a part of the
    /// expected hint on the first line.
    #[test]
    fn recorded_outputs() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/output");
        let mut count = 0;
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            let text = std::fs::read_to_string(&file).unwrap();
            let (expected, output) = text.split_once('\n').unwrap();
            let expected = expected.strip_prefix("hint: ").unwrap();
            let linker = crate::output::linker::link_failure(output, None).map(|found| found.hint);
            // As in cargo's JSON messages.
            let diagnostic = Diagnostic {
                level: "error".into(),
                rendered: output.into(),
                message: output.into(),
                ..Diagnostic::default()
            };
            let diagnostics = if output.contains("could not compile") { vec![diagnostic] } else { Vec::new() };
            let hint = linker.unwrap_or_else(|| of(output, &diagnostics, true));
            assert!(hint.contains(expected), "{}: {hint}", file.display());
            count += 1;
        }
        assert!(count >= 12);
    }

    #[test]
    fn hints() {
        let error =
            |message: &str| Diagnostic { level: "error".into(), message: message.into(), ..Diagnostic::default() };
        assert!(of("", &[error("no function `with_gil` found")], true).contains("Python::attach"));
        let old = "`&pyo3::PyAny` cannot be used as a Python function argument";
        assert!(of("", &[error(old)], true).contains("\"0.22\", features = [\"gil-refs\"]"));
        let method = "no method named `len` found for reference `&PyDict` in the current scope";
        assert!(of("", &[error(method)], true).contains("gil-refs"));
        assert_eq!(of("", &[error("no method named `len` found for reference `&PyThing`")], true), FIX);
        assert_eq!(of("", &[error("expected `&PyDict`, found `i32`")], true), FIX);
        assert!(of("error[E0786]: found invalid metadata files for crate `pyo3`", &[], true).contains("cache clear"));
        let newer =
            "error: the configured Python interpreter version (3.14) is newer than PyO3's maximum supported version";
        assert!(of(newer, &[], true).contains("`//: pyo3 = \"0.30\"`"));
        let threads = "error: PyO3 does not support the free-threaded build of CPython versions below 3.14";
        assert!(of(threads, &[], true).contains("from 3.14 on"));
        let profile = "error: profile `x` is not defined";
        assert!(of(profile, &[], true).contains("`//: [profile.NAME]`"));
        assert!(of(profile, &[], false).contains("`[profile.NAME]`"));
    }
}
