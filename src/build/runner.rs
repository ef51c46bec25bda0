//! Running a build tool: with the network or without, telling how far it is, and making errors of its words.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::base::diagnostic::Diagnostic;
use crate::base::env_vars;
use crate::base::error::{BuildFailure, Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::process::{self, Finished, Priority};
use crate::base::text;
use crate::build::maturin;
use crate::build::messages::Messages;
use crate::env::request::{Request, SourceKind};

/// How a build uses the network, where it needs it: first as if it were there, then not at all, and only when
/// something is missing here with all of cargo's patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Impatient,
    Off,
    Patient,
}

impl Network {
    fn set(self, command: &mut Command) {
        match self {
            Self::Impatient => command.env(env_vars::CARGO_NET_RETRY, "0"),
            Self::Off => command.env(env_vars::CARGO_NET_OFFLINE, "true"),
            Self::Patient => command,
        };
    }
}

/// Runs the tool that builds one source.
pub struct Runner<'a> {
    pub request: &'a Request,
    /// The tool's name.
    pub tool: &'static str,
    /// What cargo calls the package, which users know by its module's name.
    pub package: &'a str,
    pub priority: Priority,
    /// The folder that cargo builds in.
    pub target: &'a Path,
}

impl Runner<'_> {
    /// Runs the tool until it has built. `reason` is for the event that says so; `read` finds what was built, and
    /// `replay` has cargo say again, as JSON, what it said in the run that failed.
    pub fn build<T>(
        &self,
        reason: &str,
        observer: &mut dyn Observer,
        command: &dyn Fn() -> Result<Command>,
        read: &dyn Fn(&Finished) -> Option<T>,
        replay: &dyn Fn(&Finished, &mut dyn Observer) -> Result<Messages>,
    ) -> Result<(T, Finished)> {
        let start = Instant::now();
        let mut failures = Vec::new();
        for network in [Network::Impatient, Network::Off, Network::Patient] {
            let mut command = command()?;
            network.set(&mut command);
            let words = process::words(&command);
            // Told once.
            let reason = failures.is_empty().then_some(reason);
            let finished = self.run(command, reason, observer)?;
            if finished.status.success() {
                if network == Network::Off {
                    let message = "the registry cannot be reached: built with what is on this machine".into();
                    observer.event(Event::Notice { message });
                }
                return match read(&finished) {
                    Some(built) => Ok((built, finished)),
                    None => Err(Error::Build(Box::new(BuildFailure {
                        message: format!("{} built {} without an error, but left no library", self.tool, self.name()),
                        hint: "look at its output, and try again with RUSTIMPORT_FORCE_REBUILD=1".into(),
                        rendered: text(&finished.stderr),
                        diagnostics: Vec::new(),
                        command: words,
                        returncode: finished.status.code(),
                    }))),
                };
            }
            let output = text(&finished.stderr);
            failures.push((words, finished));
            let goes_on = match network {
                Network::Impatient => is_about_network(&output),
                Network::Off => !has_compiled(&output) && output.contains("offline"),
                Network::Patient => false,
            };
            if !goes_on {
                break;
            }
        }
        observer.event(Event::Failed { seconds: start.elapsed().as_secs_f64() });
        let missing = failures.get(1).and_then(|(_, offline)| missing_package(&text(&offline.stderr)));
        let (words, finished) = failures.pop().expect("at least one run failed");
        let mut error = self.explain(&words, &finished, replay, observer)?;
        if let (Error::Build(failure), Some(missing)) = (&mut error, missing)
            && is_about_network(&text(&finished.stderr))
        {
            failure.message = format!(
                "{} could not be built: `{missing}` is not on this machine, and the registry cannot be reached",
                self.name()
            );
        }
        Err(error)
    }

    /// Runs the tool once. `reason` is told, if given.
    fn run(&self, command: Command, reason: Option<&str>, observer: &mut dyn Observer) -> Result<Finished> {
        let words = process::words(&command);
        let running = process::spawn_bound(command, self.priority)
            .map_err(|error| Error::toolchain(format!("cannot start {}: {error}", words[0]), maturin::INSTALL))?;
        // Told after the start, so that whoever prints it does so while maturin works.
        if let Some(reason) = reason {
            observer.event(Event::Started { reason: reason.into() });
        }
        observer.event(Event::Log { message: format!("runs {}", words.join(" ")) });
        let mut logged = 0;
        let mut has_waited = false;
        running.finish(observer, |line, observer| {
            let line = &text::without_ansi(line);
            if let Some(progress) = progress(&self.renamed(line)) {
                if matches!(progress, Event::Waiting { .. }) && std::mem::replace(&mut has_waited, true) {
                    return;
                }
                observer.event(progress);
            } else if !line.trim().is_empty() && logged < 2000 {
                logged += 1;
                observer.event(Event::Log { message: format!("{}: {}", self.tool, line.trim_end()) });
            }
        })
    }

    /// Users know a script by its own name.
    fn renamed(&self, output: &str) -> String {
        match self.request.kind {
            SourceKind::Script => output.replace(self.package, self.request.stem()),
            _ => output.to_owned(),
        }
    }

    fn name(&self) -> String {
        self.request.root.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Makes an error of a failed run.
    fn explain(
        &self,
        words: &[String],
        finished: &Finished,
        replay: &dyn Fn(&Finished, &mut dyn Observer) -> Result<Messages>,
        observer: &mut dyn Observer,
    ) -> Result<Error> {
        let output = self.renamed(&text(&finished.stderr));
        let diagnostics =
            if output.contains("could not compile") { replay(finished, observer)?.diagnostics } else { Vec::new() };
        let errors: Vec<&Diagnostic> = diagnostics.iter().filter(|found| found.level.contains("error")).collect();
        let complaint = complaint(&output, &errors);
        let says = |what: &str| complaint.contains(what);
        let refusals = [
            ("No space left on device", ErrorKind::StorageFull),
            ("os error 28", ErrorKind::StorageFull),
            ("Disk quota exceeded", ErrorKind::QuotaExceeded),
            ("Read-only file system", ErrorKind::ReadOnlyFilesystem),
        ];
        if let Some((_, refusal)) = refusals.iter().find(|(words, _)| says(words)) {
            return Ok(Error::cache_io("build in", self.target, &(*refusal).into()));
        }
        if says("error: unexpected argument") || says("error: unrecognized subcommand") {
            return Ok(maturin::too_old(Path::new(&words[0]), observer));
        }
        let linker = link_failure(&complaint, self.request.settings.arguments.target.as_deref());
        if let Some(LinkFailure { hint, is_missing: true }) = linker {
            return Ok(Error::toolchain(
                format!("{} cannot be linked: {}", self.name(), first_error(&complaint)),
                hint,
            ));
        }
        let mut failure = BuildFailure {
            message: String::new(),
            hint: String::new(),
            rendered: compilers_words(&output),
            diagnostics: Vec::new(),
            command: words.to_vec(),
            returncode: finished.status.code(),
        };
        if !errors.is_empty() {
            let (count, plural) = (errors.len(), if errors.len() == 1 { "" } else { "s" });
            failure.message = format!("{} does not compile ({count} error{plural})", self.name());
            let rendered: Vec<&str> = errors.iter().map(|error| error.rendered.trim_end()).collect();
            failure.rendered = rendered.join("\n\n");
        }
        failure.diagnostics = diagnostics;
        if failure.message.is_empty() {
            let reason = match finished.signal() {
                Some(signal) => format!("{} was killed by signal {signal}", self.tool),
                None => first_error(&output),
            };
            failure.message = format!("{} could not be built: {reason}", self.name());
        }
        failure.hint = hint(&output, &failure.diagnostics, self.request.kind == SourceKind::Script);
        if let Some(LinkFailure { hint, .. }) = linker {
            failure.message = format!("{} cannot be linked", self.name());
            failure.hint = hint;
        }
        if has_noexec_signs(&output) {
            let variable =
                if self.request.kind == SourceKind::Project { "CARGO_TARGET_DIR" } else { "RUSTIMPORT_CACHE_DIR" };
            failure.hint = format!(
                "programs cannot be run in {}, most likely since its file system is mounted `noexec`: set {variable} to \
                 a folder elsewhere",
                self.target.display()
            );
        }
        if failure.hint == MEND && self.request.cell.is_some() {
            failure.hint = "fix the error and run the cell again".into();
        }
        Ok(Error::Build(Box::new(failure)))
    }
}

/// Has a command say again what it said in the last build.
pub fn repeat(command: Command, priority: Priority, observer: &mut dyn Observer) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    let running = process::spawn_bound(command, priority)
        .map_err(|error| Error::toolchain(format!("cannot start {program}: {error}"), "try again"))?;
    running.finish(observer, |_, _| {})
}

/// Runs a `cargo clean` for packages. If it fails, what cargo compiles next tells that nothing was cleaned.
pub fn clean(mut command: Command, packages: &BTreeSet<String>, observer: &mut dyn Observer) -> Result<()> {
    command.args(packages.iter().flat_map(|package| ["-p", package]));
    observer.event(Event::Log { message: format!("runs {}", process::words(&command).join(" ")) });
    let finished = repeat(command, Priority::Normal, observer)?;
    if !finished.status.success() {
        observer.event(Event::Log { message: format!("cargo clean: {}", text(&finished.stderr).trim()) });
    }
    Ok(())
}

/// Bytes as text, without colours: users may ask for some.
pub fn text(bytes: &[u8]) -> String {
    text::without_ansi(&String::from_utf8_lossy(bytes))
}

/// What a line of cargo's standard error says about how far it is.
fn progress(line: &str) -> Option<Event> {
    let line = line.trim();
    if let Some(after) = line.strip_prefix("Building [") {
        let (numbers, what) = after.split_once("] ")?.1.split_once(": ")?;
        let (done, total) = numbers.split_once('/')?;
        let (done, total) = (done.trim().parse().ok()?, total.trim().parse().ok()?);
        return Some(Event::Progress { done, total, what: what.trim().to_owned() });
    }
    // The package cache is locked for moments only, and many times a build.
    if let Some(what) = line.strip_prefix("Blocking waiting for file lock on ")
        && what != "package cache"
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

const MATURIN_FAILED: &str = "💥 maturin failed";

/// cargo's and rustc's part of the output: without progress, and without maturin's own remarks.
fn compilers_words(output: &str) -> String {
    const CHATTER: [&str; 10] = [
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
    // When cargo has said what is wrong, maturin repeats that it failed.
    let said_by_cargo = output.contains("error: ") || output.contains("error[");
    let output = if said_by_cargo { output.split(MATURIN_FAILED).next().unwrap_or(output) } else { output };
    let lines = output.split(['\n', '\r']).filter(|line| {
        let line = line.trim_start();
        let is_log = line.contains(" maturin::") && [" DEBUG ", " INFO "].iter().any(|level| line.contains(level));
        let is_emoji = line.chars().next().is_some_and(|c| c as u32 > 0x2500);
        !is_log && !is_emoji && !line.is_empty() && !CHATTER.iter().any(|start| line.starts_with(start))
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// What the tools say of a failure that may not be the code's; nothing if it is, whatever the compiler quotes of that.
fn complaint(output: &str, errors: &[&Diagnostic]) -> String {
    if errors.is_empty() {
        return output.to_owned();
    }
    let is_about_code = errors.iter().any(|error| error.file.is_some());
    errors.iter().filter(|_| !is_about_code).map(|error| error.rendered.as_str()).collect()
}

/// The first line that tells what went wrong.
fn first_error(output: &str) -> String {
    let lines = || output.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    let told = lines().find_map(|line| line.strip_prefix("error: "));
    let told = told.or_else(|| lines().find_map(|line| Some(line.split_once("error: ")?.1)));
    let told = told.or_else(|| lines().find_map(|line| line.strip_prefix("Caused by: ")));
    told.or_else(|| lines().next_back()).unwrap_or("it failed and said nothing").to_owned()
}

/// Whether cargo came as far as to compile: then it had all it needed, whatever the compiler quotes.
fn has_compiled(output: &str) -> bool {
    ["could not compile", "failed to run custom build command"].iter().any(|sign| output.contains(sign))
}

/// Whether a build failed for want of the network.
fn is_about_network(output: &str) -> bool {
    const SIGNS: [&str; 8] = [
        "could not resolve host",
        "Could not resolve host",
        "Could not connect",
        "failed to download",
        "Connection refused",
        "Connection reset",
        "Timeout was reached",
        "download of config.json failed",
    ];
    !has_compiled(output) && SIGNS.iter().any(|sign| output.contains(sign))
}

/// The package that cargo misses when it is kept off the network.
fn missing_package(output: &str) -> Option<String> {
    const SIGNS: [&str; 4] = [
        "no matching package named `",
        "failed to download `",
        "failed to get `",
        "failed to select a version for the requirement `",
    ];
    SIGNS.iter().find_map(|sign| Some(output.split_once(sign)?.1.split_once('`')?.0.to_owned()))
}

/// What to do about code for another version of pyo3.
fn pyo3_hint(diagnostics: &[Diagnostic], is_script: bool) -> Option<String> {
    /// Gone from pyo3, with what to write instead.
    const RENAMED: [(&str, &str); 5] = [
        ("with_gil", "Python::attach"),
        ("allow_threads", "Python::detach"),
        ("PyObject", "Py<PyAny>"),
        ("prepare_freethreaded_python", "Python::initialize"),
        ("GILOnceCell", "PyOnceLock"),
    ];
    let errors = || diagnostics.iter().filter(|diagnostic| diagnostic.level.contains("error"));
    for (old, new) in RENAMED {
        if errors().any(|error| error.message.contains(&format!("`{old}`"))) {
            if !is_script {
                return Some(format!(
                    "newer versions of pyo3 have `{new}` for `{old}`; to stay with an older one, name it in Cargo.toml"
                ));
            }
            return Some(format!(
                "newer versions of pyo3 have `{new}` for `{old}`; to stay with an older one, write \
                 `//: [dependencies]` and `//: pyo3 = \"0.23\"` at the top of the script, or set \
                 `pyo3 = \"0.23\"` in [tool.rustimport] of pyproject.toml, or RUSTIMPORT_PYO3=0.23"
            ));
        }
    }
    // `the trait bound &PyModule: From<BoundModule> is not satisfied`
    let is_about_reference = |error: &Diagnostic| {
        let says = |words: &[&str]| words.iter().any(|word| error.message.contains(word));
        says(&["`&pyo3", "`&Py"]) && says(&["trait bound", "Python function argument"])
    };
    if errors().any(is_about_reference) {
        let place = if is_script {
            "`//: [dependencies]` and `//: pyo3 = \"0.22\"` at the top of the script"
        } else {
            "pyo3 = \"0.22\" in Cargo.toml"
        };
        return Some(format!(
            "references such as `&PyModule` were replaced by `&Bound<'_, PyModule>` in pyo3 0.23: change them, or stay with \
             the last version that has them with {place}"
        ));
    }
    None
}

/// Whether something that cargo has just built could not be started.
fn has_noexec_signs(output: &str) -> bool {
    let starts = ["failed to run custom build command", "could not execute process", "cannot execute"];
    output.contains("Permission denied (os error 13)") && starts.iter().any(|sign| output.contains(sign))
}

/// Why the linker failed.
struct LinkFailure {
    hint: String,
    /// Whether there is no linker.
    is_missing: bool,
}

/// What to do where the linker failed; `target` is the triple that was asked for, if one was.
fn link_failure(complaint: &str, target: Option<&str>) -> Option<LinkFailure> {
    let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    let after = |start: &str, end: &[char]| {
        let (_, rest) = complaint.split_once(start)?;
        Some(rest.split(end).next().unwrap_or_default().to_owned())
    };
    let variable = target.map(|target| format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_")));
    let debian = |target: &str| {
        let machine = target.split('-').next().unwrap_or_default();
        let library = if target.contains("musl") { "musl" } else { "gnu" };
        (
            format!("gcc-{}-linux-{library}", machine.replace('_', "-")),
            machine.replace("aarch64", "arm64").replace("x86_64", "amd64"),
        )
    };
    let failure = |hint: String, is_missing: bool| Some(LinkFailure { hint, is_missing });
    if let Some(linker) = after("linker `", &['`']).filter(|_| says(&["not found"])) {
        return match (target, &variable) {
            (Some(target), Some(variable)) => failure(
                format!(
                    "there is no `{linker}`: install a linker for {target} (Debian: `apt install {}`) and name it in {variable}, \
                     or link with zig (--zig, after `python -m pip install ziglang`)",
                    debian(target).0
                ),
                true,
            ),
            _ => failure(
                "rustc needs a C compiler to link: install one (Debian: `apt install gcc`, macOS: \
                 `xcode-select --install`, Windows: the Visual Studio build tools)"
                    .into(),
                true,
            ),
        };
    }
    if !says(&["linking with `"]) {
        return None;
    }
    if says(&["crt1.o", "crti.o", "cannot find -lc:", "cannot find -lc\n", "unable to find library -lc\n"]) {
        let package = target.map_or("libc6-dev".into(), |target| format!("libc6-dev-{}-cross", debian(target).1));
        let zig = if target.is_some() { "; or link with zig (--zig), which brings it" } else { "" };
        return failure(
            format!("the linker does not find the C library (Debian: `apt install {package}`){zig}"),
            false,
        );
    }
    let foreign = ["file in wrong format", "is incompatible with", "Relocations in generic ELF", "incompatible target"];
    if says(&foreign) {
        let variable = variable.unwrap_or_else(|| "CARGO_TARGET_<TRIPLE>_LINKER".into());
        return failure(
            format!(
                "the linker, or a library that it was given, is for another machine: name a linker for this one in \
                 {variable}, or link with zig (--zig)"
            ),
            false,
        );
    }
    let starts = ["cannot find -l", "unable to find library -l", "library not found for -l", "library '"];
    if let Some(name) = starts.iter().find_map(|start| after(start, &[':', '\n', ' ', '\''])) {
        return failure(
            format!(
                "the library `{name}` is not where the linker looks: install its development package (Debian: \
                 `apt install lib{name}-dev`), or name its folder with RUSTFLAGS=\"-L /folder\""
            ),
            false,
        );
    }
    failure(
        "the linker's own words are above: what it misses, or cannot read, has to be installed or named".into(),
        false,
    )
}

/// Where two versions of pyo3 are asked for: by whom, and which.
fn pyo3_conflict(output: &str) -> Option<String> {
    output.split_once("links to the native library `python`")?;
    let mut asked: Vec<(String, String)> = Vec::new();
    for part in output.split("dependency `pyo3 = \"").skip(1) {
        let (requirement, rest) = part.split_once('"')?;
        let package = rest.split_once("of package `")?.1.split([' ', '`']).next()?;
        if !asked.iter().any(|(_, known)| known == package) {
            asked.push((requirement.to_owned(), package.to_owned()));
        }
    }
    let asked: Vec<String> =
        asked.iter().map(|(requirement, package)| format!("`{package}` asks for {requirement}")).collect();
    (!asked.is_empty()).then(|| asked.join(", "))
}

/// Where the compiler has said all that there is to say.
const MEND: &str = "fix the error and import again; the last good build is still in use";

/// What to do about a failed build, as far as its words tell.
fn hint(output: &str, diagnostics: &[Diagnostic], is_script: bool) -> String {
    /// Of what cargo compiled before, or wrote down.
    const DAMAGED: [&str; 4] = [
        "found invalid metadata files",
        "the compiler unexpectedly panicked",
        "failed to parse lock file",
        " changed between lock files",
    ];
    let is_damaged = |text: &str| DAMAGED.iter().any(|sign| text.contains(sign));
    if is_damaged(output) || diagnostics.iter().any(|diagnostic| is_damaged(&diagnostic.rendered)) {
        return "what was compiled before is damaged, as after a power failure: run `python -m rustimport cache clear` and \
                import again; in a project, `cargo clean`"
            .into();
    }
    let place = if is_script { "the `//:` lines of the script" } else { "Cargo.toml" };
    let errors = || diagnostics.iter().filter(|diagnostic| diagnostic.level.contains("error"));
    if let Some(hint) = pyo3_hint(diagnostics, is_script) {
        return hint;
    }
    let unlinked = errors().find_map(|error| {
        let (_, after) = error.rendered.split_once("unresolved module or unlinked crate `")?;
        after.split_once('`').map(|(name, _)| name.to_owned())
    });
    if let Some(name) = unlinked {
        if !is_script {
            return format!("if `{name}` is a crate, `cargo add {name}`; if it is a module, write `mod {name};`");
        }
        return format!(
            "if `{name}` is a crate, name it at the top of the script, above all code: `//: [dependencies]` and \
             `//: {name} = \"…\"` with its version; if it is a module, write `mod {name};`"
        );
    }
    if let Some(conflict) = pyo3_conflict(output) {
        let fix = if is_script {
            "write the version that both accept at the top of the script: `//: [dependencies]` and `//: pyo3 = \"…\"` (where \
             a script names none, it asks for rustimport's range)"
        } else {
            "name a version in Cargo.toml that both accept"
        };
        return format!("a library can have one version of pyo3: {conflict}; {fix}");
    }
    let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
    if !has_compiled(output) && says(&["you're using offline mode", "--offline was specified"]) {
        "CARGO_NET_OFFLINE, or cargo's configuration, keeps cargo off the network, and something is not on this \
         machine: let it download once"
            .into()
    } else if !has_compiled(output) && says(&["no matching package", "failed to select a version"]) {
        format!("check the names and versions in {place}")
    } else if is_about_network(output) {
        "a dependency has to be downloaded, and the registry could not be reached: check the network, then \
         import again"
            .into()
    } else if says(&["too-recent versioned symbols"]) {
        "link with zig, which knows older systems (--zig, after `python -m pip install ziglang`), or build in a manylinux \
         container"
            .into()
    } else if says(&["does not contain this feature: pyo3/abi3"]) {
        "--abi3 is for sources that use pyo3".into()
    } else if says(&["Failed to find zig"]) {
        "--zig needs zig: `python -m pip install ziglang`".into()
    } else if says(&["target may not be installed"]) {
        "the target's standard library is not here: `rustup target add` installs it".into()
    } else if says(&["profile `"]) && says(&["is not defined"]) {
        let own = if is_script { "//: " } else { "" };
        format!(
            "profiles are dev, release, fast, small, and those defined in {place}: `{own}[profile.NAME]` with \
             `{own}inherits = \"release\"`"
        )
    } else if says(&["failed to load manifest for dependency", "failed to read `"]) {
        let folder = if is_script { "the script's" } else { "its" };
        format!("the `path` of a dependency in {place} is relative to {folder} folder: check it")
    } else if says(&["failed to parse manifest", "invalid type", "unknown variant"]) {
        format!("check {place}{}", if is_script { ": together they form its Cargo.toml" } else { "" })
    } else if errors().next().is_some() {
        MEND.into()
    } else {
        "RUSTIMPORT_VERBOSE=1 shows all that maturin and cargo say".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_progress() {
        let check = |line: &str, expected: Option<Event>| assert_eq!(progress(line), expected, "{line}");
        let what = "pyo3, syn(build)".to_owned();
        let building = Event::Progress { done: 5, total: 14, what };
        check("    Building [====>       ] 5/14: pyo3, syn(build)      ", Some(building));
        check("   Compiling pyo3 v0.30.1", None);
        check("    Building [====>       ] garbage", None);
        let waiting = Event::Waiting { what: "another build to release cargo's build directory".into() };
        check("    Blocking waiting for file lock on build directory", Some(waiting));
    }

    #[test]
    fn words_and_hints() {
        let output = "🔗 Found pyo3 bindings\n   Compiling m v0.1.0\nerror: no matching package named `nope` found\n";
        assert_eq!(compilers_words(output), "error: no matching package named `nope` found");
        assert_eq!(first_error(output), "no matching package named `nope` found");
        assert_eq!(compilers_words(&format!("{output}{MATURIN_FAILED}\n  Caused by: x")), compilers_words(output));
        let own = format!("{MATURIN_FAILED}\n  Caused by: x\n  Caused by: y\n");
        assert_eq!((first_error(&own).as_str(), compilers_words(&own).as_str()), ("x", "Caused by: x\n  Caused by: y"));
        assert_eq!(first_error(""), "it failed and said nothing");
        let error =
            |message: &str| Diagnostic { level: "error".into(), message: message.into(), ..Diagnostic::default() };
        assert!(hint("", &[error("no function `with_gil` found")], true).contains("Python::attach"));
        let old = "`&pyo3::PyAny` cannot be used as a Python function argument";
        assert!(hint("", &[error(old)], true).contains("pyo3 = \"0.22\""));
        assert!(hint("", &[error("expected `&PyDict`, found `i32`")], true) == MEND);
        assert!(hint(output, &[], true).contains("names and versions"));
        assert!(hint("error[E0786]: found invalid metadata files for crate `pyo3`", &[], true).contains("cache clear"));
        let links =
            |text: &str, target: Option<&str>| link_failure(text, target).map(|found| (found.hint, found.is_missing));
        assert!(
            links("error: linker `cc` not found", None)
                .is_some_and(|(hint, missing)| missing && hint.contains("apt install gcc"))
        );
        for (text, target, word) in [
            (
                "error: linker `aarch64-linux-gnu-gcc` not found",
                Some("aarch64-unknown-linux-gnu"),
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
            ),
            ("linking with `cc` failed\n/usr/bin/ld: cannot find -lssl: No such file", None, "libssl-dev"),
            (
                "linking with `cc` failed\nld: cannot find crt1.o",
                Some("aarch64-unknown-linux-gnu"),
                "libc6-dev-arm64-cross",
            ),
            ("linking with `cc` failed\nld: x.o: file in wrong format", Some("aarch64-unknown-linux-gnu"), "--zig"),
            ("linking with `cc` failed\nsomething else", None, "linker's own words"),
        ] {
            assert!(links(text, target).is_some_and(|(hint, _)| hint.contains(word)), "{text}");
        }
        assert!(links("error[E0308]: mismatched types", None).is_none());
        let conflict = "required by package `pyo3 v0.20.0`\n which satisfies dependency `pyo3 = \"^0.20\"` of package `numpy v0.20.0`\n\
                        package `pyo3-ffi` links to the native library `python`, but\n\
                        dependency `pyo3 = \">=0.23, <0.31\"` of package `m v0.1.0 (/p)`";
        assert_eq!(pyo3_conflict(conflict).as_deref(), Some("`numpy` asks for ^0.20, `m` asks for >=0.23, <0.31"));
        let full = Diagnostic { rendered: "error: No space left on device".into(), ..error("") };
        assert_eq!(complaint(output, &[]), output);
        assert_eq!(complaint("1 | \"No space left on device\"", &[&full]), full.rendered);
        assert_eq!(complaint(output, &[&full, &Diagnostic { file: Some("/s/m.rs".into()), ..full.clone() }]), "");
        assert_eq!(missing_package(output).as_deref(), Some("nope"));
        assert!(!is_about_network(output));
        assert!(is_about_network("error: failed to download `x v1`"));
        assert!(!is_about_network("\"Connection refused\"\nerror: could not compile `m`"));
    }
}
