//! Every environment variable that the core reads or sets, declared once.
//!
//! The variables that configure `rustimport` itself are not here: the Python half (`_settings.py`) reads them and passes
//! them in the request. These are the variables of cargo, rustc, rustup, pyo3 and other tools.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;

/// Disables the import hook in child processes.
pub const ENABLED: &str = "RUSTIMPORT_ENABLED";
/// The same for `maturin_import_hook`.
pub const MATURIN_HOOK_ENABLED: &str = "MATURIN_IMPORT_HOOK_ENABLED";

/// The key that signs for a remote store, or its file. Code that is compiled or runs during a build must not read it.
pub const REMOTE_KEY: &str = "RUSTIMPORT_REMOTE_KEY";

/// The commit and the job of GitHub's and GitLab's CI, which are signed with what is written to a remote store.
pub const GITHUB_SHA: &str = "GITHUB_SHA";
pub const GITHUB_SERVER_URL: &str = "GITHUB_SERVER_URL";
pub const GITHUB_REPOSITORY: &str = "GITHUB_REPOSITORY";
pub const GITHUB_RUN_ID: &str = "GITHUB_RUN_ID";
pub const CI_COMMIT_SHA: &str = "CI_COMMIT_SHA";
pub const CI_JOB_URL: &str = "CI_JOB_URL";

pub const PATH: &str = "PATH";
pub const CARGO: &str = "CARGO";
pub const CARGO_HOME: &str = "CARGO_HOME";
pub const CARGO_INCREMENTAL: &str = "CARGO_INCREMENTAL";
pub const CARGO_TARGET_DIR: &str = "CARGO_TARGET_DIR";
/// Newer cargo can keep intermediate files outside the target folder; `freshness::cargo_layout` reads them.
pub const CARGO_BUILD_BUILD_DIR: &str = "CARGO_BUILD_BUILD_DIR";
/// Variables that change the location of cargo's target folder or of its home.
pub const TARGET_FOLDERS: [&str; 4] = [CARGO_TARGET_DIR, "CARGO_BUILD_TARGET_DIR", CARGO_BUILD_BUILD_DIR, CARGO_HOME];
pub const CARGO_TERM_PROGRESS_WHEN: &str = "CARGO_TERM_PROGRESS_WHEN";
pub const CARGO_TERM_PROGRESS_WIDTH: &str = "CARGO_TERM_PROGRESS_WIDTH";
pub const CARGO_TERM_COLOR: &str = "CARGO_TERM_COLOR";
pub const CARGO_TERM_QUIET: &str = "CARGO_TERM_QUIET";
pub const CARGO_TERM_VERBOSE: &str = "CARGO_TERM_VERBOSE";
pub const CARGO_ENCODED_RUSTFLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";
pub const CARGO_NET_OFFLINE: &str = "CARGO_NET_OFFLINE";
/// Whether cargo's resolver skips versions that need a newer Rust.
pub const CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS: &str = "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS";
pub const CARGO_NET_RETRY: &str = "CARGO_NET_RETRY";
pub const RUSTFLAGS: &str = "RUSTFLAGS";
pub const RUSTC: &str = "RUSTC";
pub const RUSTUP_HOME: &str = "RUSTUP_HOME";
pub const RUSTUP_TOOLCHAIN: &str = "RUSTUP_TOOLCHAIN";
pub const MACOSX_DEPLOYMENT_TARGET: &str = "MACOSX_DEPLOYMENT_TARGET";

/// Which log messages a tool prints.
pub const RUST_LOG: &str = "RUST_LOG";
/// Disables colored output.
pub const NO_COLOR: &str = "NO_COLOR";
/// The activated environment.
pub const VIRTUAL_ENV: &str = "VIRTUAL_ENV";
pub const CONDA_PREFIX: &str = "CONDA_PREFIX";

/// pyo3's build script reads the interpreter from this file and does not start Python.
pub const PYO3_CONFIG_FILE: &str = "PYO3_CONFIG_FILE";
/// The Python that rust-cpython's build script runs.
pub const PYTHON_SYS_EXECUTABLE: &str = "PYTHON_SYS_EXECUTABLE";
pub const PYO3_BUILD_EXTENSION_MODULE: &str = "PYO3_BUILD_EXTENSION_MODULE";

/// Variables that make git use another repository than that of the working folder. They are set within its hooks.
pub const GIT_PLACE: [&str; 3] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"];

/// Variables from which pyo3 selects an interpreter. The build of a script passes its interpreter in a file instead, so
/// that a change in one of these does not recompile pyo3 for every script.
pub const INTERPRETER_CHOICE: &[&str] = &[
    CONDA_PREFIX,
    "PYO3_CROSS",
    "PYO3_CROSS_LIB_DIR",
    "PYO3_CROSS_PYTHON_IMPLEMENTATION",
    "PYO3_CROSS_PYTHON_VERSION",
    "PYO3_ENVIRONMENT_SIGNATURE",
    "PYO3_NO_PYTHON",
    "PYO3_PYTHON",
    PYTHON_SYS_EXECUTABLE,
    VIRTUAL_ENV,
];

/// Variables that change what cargo and rustc produce although no source names them. [`is_build_variable`] adds others
/// by prefix.
const BUILD_VARIABLES: &[&str] = &[RUSTFLAGS, RUSTC, "RUSTDOCFLAGS", MACOSX_DEPLOYMENT_TARGET];

/// Variables that have the prefix of an input but are not inputs: they control output, downloads and credentials.
const NOT_INPUTS: &[&str] = &[
    "CARGO_TERM_",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTRY",
    "CARGO_REGISTRIES_",
    CARGO_INCREMENTAL,
    "CARGO_LLVM_COV",
    "CARGO_LOG",
    // Of cargo-make.
    "CARGO_MAKE_",
    "RUSTC_LOG",
    CARGO_TARGET_DIR,
    "CARGO_BUILD_TARGET_DIR",
    CARGO_BUILD_BUILD_DIR,
    "CARGO_BUILD_JOBS",
    "CARGO_BUILD_TARGET",
    CARGO_HOME,
    "RUSTUP_",
];

/// Variables that cargo itself sets for the compiler and for build scripts.
const SET_BY_CARGO: &[&str] = &[
    "CARGO_BIN_",
    "CARGO_CFG_",
    "CARGO_CRATE_NAME",
    "CARGO_FEATURE_",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_RUSTC_CURRENT_DIR",
    "CARGO_SBOM_PATH",
];

/// Whether the user sets a variable that compiled code names (`env!`, `rerun-if-env-changed`), as opposed to cargo or
/// this program.
pub fn is_users(name: &str) -> bool {
    !["OUT_DIR", CARGO].contains(&name)
        && !is_set_by_cargo(name)
        && !INTERPRETER_CHOICE.contains(&name)
        && ![PYO3_CONFIG_FILE, PYO3_BUILD_EXTENSION_MODULE, CARGO_ENCODED_RUSTFLAGS].contains(&name)
}

/// Whether rustimport or maturin sets the variable for cargo, so that its value there is not the user's.
pub fn is_set_for_tools(name: &str) -> bool {
    [PATH, RUST_LOG, NO_COLOR, RUSTFLAGS, MACOSX_DEPLOYMENT_TARGET].contains(&name)
        || name.starts_with("CARGO_TERM_")
        || name.starts_with("CARGO_RESOLVER_")
}

/// Whether cargo sets the variable only for build scripts.
pub fn is_set_for_build_scripts(name: &str) -> bool {
    ["TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS", "RUSTC", "RUSTDOC"].contains(&name)
}

fn is_set_by_cargo(name: &str) -> bool {
    SET_BY_CARGO.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a variable changes what cargo builds although no source names it.
pub fn is_build_variable(name: &str) -> bool {
    BUILD_VARIABLES.contains(&name)
        || ((name.starts_with("CARGO_") || name.starts_with("RUSTC_"))
            && !is_set_by_cargo(name)
            && (chooses_registry(name) || !NOT_INPUTS.iter().any(|prefix| name.starts_with(prefix))))
}

/// Whether a variable chooses where packages come from, and so their content.
fn chooses_registry(name: &str) -> bool {
    name == "CARGO_REGISTRY_DEFAULT" || (name.starts_with("CARGO_REGISTR") && name.ends_with("_INDEX"))
}

pub fn get(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A variable's value as text. Bytes that are not UTF-8 are replaced, which is enough to detect a change.
pub fn get_text(name: &str) -> Option<String> {
    get(name).map(|value| value.to_string_lossy().into_owned())
}

/// All variables, as [`get_text`] gives them.
pub fn all() -> HashMap<String, String> {
    let text = |value: OsString| value.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// The variables that change what Python says of itself, in a fixed order.
pub fn of_python() -> BTreeMap<String, String> {
    const PREFIXES: [&str; 4] = ["PYTHON", "_PYTHON", "MACOSX_", "ARCHFLAGS"];
    all().into_iter().filter(|(name, _)| PREFIXES.iter().any(|prefix| name.starts_with(prefix))).collect()
}

/// A variable is a secret if its name contains one of these words.
const SECRETS: &[&str] = &["KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL"];

/// Replaces the values of secret variables by the variables' names, in a text that other people may read.
pub fn without_secrets(text: &str) -> String {
    hide(text, &all())
}

fn hide(text: &str, variables: &HashMap<String, String>) -> String {
    // Shorter values are not secrets, and they occur in unrelated text.
    const SHORTEST: usize = 6;
    let is_secret = |name: &str| SECRETS.iter().any(|word| name.to_uppercase().contains(word));
    let secrets = variables.iter().filter(|(name, _)| is_secret(name));
    let lines = secrets.flat_map(|(name, value)| value.lines().map(move |line| (line.trim(), name)));
    let lines = lines.filter(|(line, _)| line.len() >= SHORTEST);
    // The value itself, and as Rust's `{:?}` prints it.
    let forms =
        lines.flat_map(|(line, name)| [line.to_owned(), line.escape_debug().to_string()].map(|form| (form, name)));
    let mut forms: Vec<(String, &String)> = forms.collect();
    // The longest first: one value may be part of another.
    forms.sort_by_key(|(form, name)| (std::cmp::Reverse(form.len()), *name));
    forms.iter().fold(text.to_owned(), |text, (form, name)| text.replace(form, &format!("${name}")))
}

/// Whether a variable describes the session or the toolchain, in words that other text contains, too.
pub fn is_of_session(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "COLORTERM",
        "DESKTOP_SESSION",
        "HOSTNAME",
        "HOSTTYPE",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "MACHTYPE",
        "SHELL",
        "TERM",
        "USER",
        "USERNAME",
    ];
    NAMES.contains(&name) || ["LC_", "XDG_", "RUSTUP_"].iter().any(|prefix| name.starts_with(prefix))
}

/// The names of all variables that are set and match [`is_build_variable`].
pub fn set_build_variables() -> Vec<String> {
    let all = all().into_iter().filter(|(name, value)| is_build_variable(name) && !is_compiler_cache(name, value));
    all.map(|(name, _)| name).collect()
}

/// Whether a variable names a program in place of the compiler or the linker.
pub fn names_program(name: &str) -> bool {
    let name = name.strip_prefix("CARGO_BUILD_").unwrap_or(name);
    [RUSTC, "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"].contains(&name)
        || (name.starts_with("CARGO_TARGET_") && name.ends_with("_LINKER"))
}

/// Whether a variable contains arguments for the compiler.
pub fn names_flags(name: &str) -> bool {
    [RUSTFLAGS, CARGO_ENCODED_RUSTFLAGS, "CARGO_BUILD_RUSTFLAGS"].contains(&name)
        || (name.starts_with("CARGO_TARGET_") && name.ends_with("_RUSTFLAGS"))
}

/// Whether a variable only names a program that keeps what rustc compiled: what is built is the same without it.
fn is_compiler_cache(name: &str, value: &str) -> bool {
    name == "RUSTC_WRAPPER" && std::path::Path::new(value).file_stem().is_some_and(|stem| stem == "sccache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let variables = [
            ("REGISTRY_TOKEN", "s3cret-word"),
            ("db_password", "first line\nsecond line"),
            ("API_KEY", "1"),
            ("LONGER_KEY", "s3cret-word-and-more"),
            ("HARMLESS", "harmless"),
            ("SPELT_TOKEN", r#"sa"y\s3cret"#),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let check = |text: &str, expected: &str| assert_eq!(hide(text, &variables), expected);
        check("a s3cret-word is harmless: 1", "a $REGISTRY_TOKEN is harmless: 1");
        check("s3cret-word-and-more", "$LONGER_KEY");
        check("> second line", "> $db_password");
        check(r#"panicked: "sa\"y\\s3cret""#, "panicked: \"$SPELT_TOKEN\"");
    }

    #[test]
    fn a_compiler_cache_is_no_input() {
        let check = |name: &str, value: &str, expected: bool| assert_eq!(is_compiler_cache(name, value), expected);
        check("RUSTC_WRAPPER", "sccache", true);
        check("RUSTC_WRAPPER", "/usr/bin/sccache", true);
        check("RUSTC_WRAPPER", "/usr/bin/other", false);
        check("RUSTC", "sccache", false);
    }

    #[test]
    fn users_and_build_variables_are_inputs() {
        let check = |name: &str, users: bool, build: bool| {
            assert_eq!((is_users(name), is_build_variable(name)), (users, build), "{name}");
        };
        check("CARGO_MAKE_TASK", true, false);
        check("FEATURE", true, false);
        check("CARGO_PKG_VERSION", false, false);
        check("OUT_DIR", false, false);
        check("RUSTFLAGS", true, true);
        check("CARGO_PROFILE_DEV_OPT_LEVEL", true, true);
        check("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", true, true);
        check("CARGO_REGISTRIES_MINE_TOKEN", true, false);
        check("CARGO_REGISTRIES_MINE_INDEX", true, true);
        check("CARGO_REGISTRY_DEFAULT", true, true);
        check("CARGO_TERM_COLOR", true, false);
        check("VIRTUAL_ENV", false, false);
        check("RUSTC_WRAPPER", true, true);
        check("RUST_LOG", true, false);
    }
}
