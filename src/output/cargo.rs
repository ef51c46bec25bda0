//! The phrases of cargo: its progress, its errors, and the signs of a network failure. The hints are in
//! [`crate::output::hint`].

use crate::base::diagnostic::Diagnostic;
use crate::base::event::Event;
use crate::output::maturin;

/// The progress in a line of cargo's standard error.
pub fn progress(line: &str) -> Option<Event> {
    let line = line.trim();
    if let Some(after) = line.strip_prefix("Building [") {
        let (numbers, what) = after.split_once("] ")?.1.split_once(": ")?;
        let (done, total) = numbers.split_once('/')?;
        let (done, total) = (done.trim().parse().ok()?, total.trim().parse().ok()?);
        return Some(Event::Progress { done, total, what: what.trim().to_owned() });
    }
    // The package cache is locked many times in a build, each time for a moment.
    if let Some(what) = line.strip_prefix("Blocking waiting for file lock on ")
        && !what.ends_with("package cache")
    {
        return Some(Event::Waiting { what: format!("another build to release cargo's {what}") });
    }
    for (start, what) in [("Updating ", "the registry's index"), ("Downloading ", "downloads"), ("Fetch ", "downloads")]
    {
        if line.starts_with(start) {
            return Some(Event::Progress { done: 0, total: 0, what: what.into() });
        }
    }
    None
}

/// cargo's and rustc's part of the output, without progress and without maturin's own lines.
pub fn compilers_words(output: &str) -> String {
    const CHATTER: [&str; 11] = [
        "Blocking waiting for file lock",
        "Building [",
        "Compiling ",
        "Updating ",
        "Locking ",
        "Downloading ",
        "Downloaded ",
        "Adding ",
        "Fetch ",
        "Finished ",
        "warning: spurious network error",
    ];
    // maturin repeats that cargo failed, after cargo has printed the reason.
    let is_cargos = output.contains("error: ") || output.contains("error[");
    let output = if is_cargos { output.split(maturin::FAILED).next().unwrap_or(output) } else { output };
    let lines = output.split(['\n', '\r']).filter(|line| {
        let line = line.trim_start();
        !maturin::is_own(line) && !line.is_empty() && !CHATTER.iter().any(|start| line.starts_with(start))
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The part of the output that can explain a failure with a cause other than the code. Empty if the errors are in the
/// code, since the compiler quotes code, which may contain any phrase.
pub fn complaint(output: &str, errors: &[&Diagnostic]) -> String {
    if errors.is_empty() {
        return output.to_owned();
    }
    let is_about_code = errors.iter().any(|error| error.file.is_some());
    errors.iter().filter(|_| !is_about_code).map(|error| error.rendered.as_str()).collect()
}

/// The first line that describes an error.
pub fn first_error(output: &str) -> String {
    let lines = || output.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    let found = lines().find_map(|line| line.strip_prefix("error: "));
    let found = found.or_else(|| lines().find_map(|line| Some(line.split_once("error: ")?.1)));
    let found = found.or_else(|| lines().find_map(|line| line.strip_prefix("Caused by: ")));
    found.or_else(|| lines().next_back()).unwrap_or("it failed and printed nothing").to_owned()
}

/// Whether cargo began to compile, so that nothing was missing.
pub fn has_compiled(output: &str) -> bool {
    ["could not compile", "failed to run custom build command"].iter().any(|sign| output.contains(sign))
}

/// The phrases with which cargo reports a failed download.
pub const NETWORK: [&str; 8] = [
    "could not resolve host",
    "Could not resolve host",
    "Could not connect",
    "failed to download",
    "Connection refused",
    "Connection reset",
    "Timeout was reached",
    "download of config.json failed",
];

/// Whether a build failed because the network could not be reached.
pub fn is_about_network(output: &str) -> bool {
    !has_compiled(output) && NETWORK.iter().any(|sign| output.contains(sign))
}

/// Whether a build failed because the sources of packages do not have what the lock file names.
pub fn is_about_lock(output: &str) -> bool {
    !has_compiled(output) && ["(locked to ", " changed between lock files"].iter().any(|sign| output.contains(sign))
}

/// The package that cargo is missing when it is offline.
pub fn missing_package(output: &str) -> Option<String> {
    const SIGNS: [&str; 4] = [
        "no matching package named `",
        "failed to download `",
        "failed to get `",
        "failed to select a version for the requirement `",
    ];
    SIGNS.iter().find_map(|sign| Some(output.split_once(sign)?.1.split_once('`')?.0.to_owned()))
}

/// Whether a program that cargo has just built could not be started.
pub fn has_noexec_signs(output: &str) -> bool {
    let starts = ["failed to run custom build command", "could not execute process", "cannot execute"];
    output.contains("Permission denied (os error 13)") && starts.iter().any(|sign| output.contains(sign))
}

/// If incompatible versions of pyo3 are required, which packages require which.
pub fn pyo3_conflict(output: &str) -> Option<String> {
    output.split_once("links to the native library `python`")?;
    let mut required: Vec<(String, String)> = Vec::new();
    for part in output.split("dependency `pyo3 = \"").skip(1) {
        let (requirement, rest) = part.split_once('"')?;
        let package = rest.split_once("of package `")?.1.split([' ', '`']).next()?;
        if !required.iter().any(|(_, known)| known == package) {
            required.push((requirement.to_owned(), package.to_owned()));
        }
    }
    let required: Vec<String> =
        required.iter().map(|(requirement, package)| format!("`{package}` requires {requirement}")).collect();
    (!required.is_empty()).then(|| required.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_lines() {
        let check = |line: &str, expected: Option<Event>| assert_eq!(progress(line), expected, "{line}");
        let what = "pyo3, syn(build)".to_owned();
        let building = Event::Progress { done: 5, total: 14, what };
        check("    Building [====>       ] 5/14: pyo3, syn(build)      ", Some(building));
        check("   Compiling pyo3 v0.30.1", None);
        check("    Building [====>       ] garbage", None);
        check("    Blocking waiting for file lock on package cache", None);
        check("    Blocking waiting for file lock on shared package cache", None);
        let waiting = Event::Waiting { what: "another build to release cargo's build directory".into() };
        check("    Blocking waiting for file lock on build directory", Some(waiting));
    }

    #[test]
    fn complaints() {
        let output = "🔗 Found pyo3 bindings\n   Compiling m v0.1.0\n    Blocking waiting for file lock on package cache\n\
                      error: no matching package named `nope` found\n";
        assert_eq!(compilers_words(output), "error: no matching package named `nope` found");
        assert_eq!(first_error(output), "no matching package named `nope` found");
        let failed = maturin::FAILED;
        assert_eq!(compilers_words(&format!("{output}{failed}\n  Caused by: x")), compilers_words(output));
        let own = format!("{failed}\n  Caused by: x\n  Caused by: y\n");
        assert_eq!((first_error(&own).as_str(), compilers_words(&own).as_str()), ("x", "Caused by: x\n  Caused by: y"));
        assert_eq!(first_error(""), "it failed and printed nothing");
        let full = Diagnostic {
            level: "error".into(),
            rendered: "error: No space left on device".into(),
            ..Diagnostic::default()
        };
        assert_eq!(complaint(output, &[]), output);
        assert_eq!(complaint("1 | \"No space left on device\"", &[&full]), full.rendered);
        assert_eq!(complaint(output, &[&full, &Diagnostic { file: Some("/s/m.rs".into()), ..full.clone() }]), "");
        assert_eq!(missing_package(output).as_deref(), Some("nope"));
        assert!(!is_about_network(output));
        assert!(is_about_network("error: failed to download `x v1`"));
        assert!(!is_about_network("\"Connection refused\"\nerror: could not compile `m`"));
        let conflict = "required by package `pyo3 v0.20.0`\n which satisfies dependency `pyo3 = \"^0.20\"` of package `numpy v0.20.0`\n\
                        package `pyo3-ffi` links to the native library `python`, but\n\
                        dependency `pyo3 = \">=0.23, <0.31\"` of package `m v0.1.0 (/p)`";
        assert_eq!(pyo3_conflict(conflict).as_deref(), Some("`numpy` requires ^0.20, `m` requires >=0.23, <0.31"));
    }
}
