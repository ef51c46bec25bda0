//! Driving maturin: one run builds one package, in one lane, for one interpreter. What maturin has no binding
//! for, cargo builds alone, with what maturin would have told it ([`Builder`]).
//!
//! What was measured about it stands in `docs/decisions.md`. With `--target`, `-i pythonX.Y` and pyo3's
//! configuration file it starts no python; with the real toolchain first on `PATH` no rustup proxy.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::cache::{Cache, Entry};
use crate::diagnostic::{self, Diagnostic, Messages};
use crate::env_vars;
use crate::error::{BuildFailure, Error, Result};
use crate::event::{Event, Host};
use crate::fs;
use crate::lane::Lane;
use crate::manifest;
use crate::process::{self, Finished};
use crate::request::Request;
use crate::settings::BuildSettings;
use crate::toolchain::{Toolchain, program};

const INSTALL: &str = "install it into this environment with `python -m pip install \"maturin>=1.9.6,<2\"`, or set \
                       RUSTIMPORT_MATURIN_EXECUTABLE to the path of a maturin";

/// Who builds a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    Maturin,
    /// maturin knows pyo3 and pyo3-ffi. A library that makes its `PyInit_` otherwise it would take for one of
    /// cffi's: it would look for a python to run, and want cffi in it.
    Cargo,
}

impl std::fmt::Display for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Maturin => "maturin",
            Self::Cargo => "cargo",
        })
    }
}

/// What one run needs to know.
pub struct Job<'a> {
    pub request: &'a Request,
    pub cache: &'a Cache,
    pub entry: &'a Entry,
    /// The folder of the package to build, and its name.
    pub package: &'a Path,
    pub name: &'a str,
    pub lane: &'a Lane,
    pub toolchain: &'a Toolchain,
    pub settings: &'a BuildSettings,
    pub builder: Builder,
    /// Whether rust-cpython is in it, which asks a python about itself.
    pub has_cpython: bool,
    /// Run in the source's folder, whose cargo configuration holds. Otherwise in the package's, which
    /// comes to the same where neither has any, and spares maturin a `cargo metadata` (30 ms).
    pub in_source_folder: bool,
}

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

pub struct Built {
    /// The library's bytes.
    pub library: Vec<u8>,
    /// What cargo said, where it was asked.
    pub messages: Option<Messages>,
    /// Whether the compiler warned.
    pub warned: bool,
}

impl Job<'_> {
    /// Runs maturin. `reason` is for the event that says so.
    pub fn build(&self, reason: &str, host: &mut dyn Host) -> Result<Built> {
        let wheels = fs::temporary_folder(self.entry.home(), "wheel")?;
        let maturin = match self.builder {
            Builder::Maturin => Some(find_maturin(self.request)?),
            Builder::Cargo => None,
        };
        let start = Instant::now();
        let mut failures = Vec::new();
        for network in [Network::Impatient, Network::Off, Network::Patient] {
            let mut command = match &maturin {
                Some(maturin) => self.maturin_command(maturin, wheels.path()),
                None => self.cargo_command(),
            };
            network.set(&mut command);
            let words = process::words(&command);
            // Told once.
            let reason = failures.is_empty().then_some(reason);
            let finished = self.run(command, reason, host)?;
            if finished.status.success() {
                if network == Network::Off {
                    let message = "the registry cannot be reached: built with what is on this machine".into();
                    host.event(Event::Notice { message });
                }
                let warned = memchr::memmem::find(&finished.stderr, b"warning").is_some();
                let messages = maturin.is_none().then(|| self.read_messages(&finished));
                let library = match &messages {
                    Some(messages) => self.compiled_library(messages),
                    None => self.read_library(wheels.path()),
                };
                return match library {
                    Some(library) => Ok(Built { library, messages, warned }),
                    None => Err(Error::Build(Box::new(BuildFailure {
                        message: format!(
                            "{} built {} without an error, but left no library",
                            self.builder,
                            self.name()
                        ),
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
        host.event(Event::Failed { seconds: start.elapsed().as_secs_f64() });
        let missing = failures.get(1).and_then(|(_, offline)| missing_package(&text(&offline.stderr)));
        let (words, finished) = failures.pop().expect("at least one run failed");
        let mut error = self.explain(&words, &finished, host)?;
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

    /// Runs maturin once. `reason` is told, if given.
    fn run(&self, command: Command, reason: Option<&str>, host: &mut dyn Host) -> Result<Finished> {
        let words = process::words(&command);
        let running = process::spawn_bound(command, self.lane.priority)
            .map_err(|error| Error::toolchain(format!("cannot start {}: {error}", words[0]), INSTALL))?;
        // Told after the start, so that whoever prints it does so while maturin works.
        if let Some(reason) = reason {
            host.event(Event::Started { reason: reason.into() });
        }
        host.event(Event::Log { message: format!("runs {}", words.join(" ")) });
        let mut logged = 0;
        let mut has_waited = false;
        // Users know the script by its own name.
        running.finish(host, |line, host| {
            if let Some(progress) = progress(&line.replace(self.name, self.request.stem())) {
                if matches!(progress, Event::Waiting { .. }) && std::mem::replace(&mut has_waited, true) {
                    return;
                }
                host.event(progress);
            } else if !line.trim().is_empty() && logged < 2000 {
                logged += 1;
                host.event(Event::Log { message: format!("{}: {}", self.builder, line.trim_end()) });
            }
        })
    }

    /// Has cargo say again, as JSON, what it said in the last build: nothing is compiled that was.
    pub fn replay(&self, host: &mut dyn Host) -> Result<Messages> {
        let running = process::spawn_bound(self.cargo_command(), self.lane.priority).map_err(|error| {
            Error::toolchain(format!("cannot start {}: {error}", self.toolchain.cargo.display()), "try again")
        })?;
        let finished = running.finish(host, |_, _| {})?;
        Ok(self.read_messages(&finished))
    }

    fn read_messages(&self, finished: &Finished) -> Messages {
        diagnostic::read_messages(&finished.stdout, self.request.folder(), self.package)
    }

    /// The library that cargo says it made.
    fn compiled_library(&self, messages: &Messages) -> Option<Vec<u8>> {
        let own = messages.units.iter().rev().find(|unit| {
            let is_library =
                unit.made.extension().is_some_and(|extension| extension == std::env::consts::DLL_EXTENSION);
            unit.package == self.name && is_library
        });
        std::fs::read(&own?.made).ok()
    }

    /// The `cargo rustc` that maturin runs, with its messages as JSON.
    fn cargo_command(&self) -> Command {
        let mut command = process::command(&self.toolchain.cargo);
        command.args(["rustc", "--lib", "--message-format", "json-diagnostic-rendered-ansi"]);
        command.args(["--target", self.toolchain.host(), "--profile", &self.settings.profile]);
        command.arg("--manifest-path").arg(self.package.join("Cargo.toml"));
        command.arg("--").args(self.rustc_arguments()).args(self.maturins_rustc_arguments());
        self.set_environment(&mut command);
        if cfg!(target_os = "macos") && env_vars::get(env_vars::CARGO_ENCODED_RUSTFLAGS).is_none() {
            let flags = env_vars::get_text(env_vars::RUSTFLAGS).unwrap_or_default();
            let own = ["-C", "link-arg=-undefined", "-C", "link-arg=dynamic_lookup"];
            let flags: Vec<&str> = flags.split_whitespace().chain(own).collect();
            command.env(env_vars::CARGO_ENCODED_RUSTFLAGS, flags.join("\u{1f}"));
        }
        command
    }

    /// Where cargo puts this profile's output for the script and its dependencies, and for the build
    /// scripts and macros that run here.
    pub fn output_folders(&self) -> [PathBuf; 2] {
        let profile = self.settings.profile_folder();
        let target = self.lane.home();
        [target.join(self.toolchain.host()).join(profile), target.join(profile)]
    }

    fn name(&self) -> String {
        self.request.root.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn maturin_command(&self, maturin: &Path, wheels: &Path) -> Command {
        let mut command = process::command(maturin);
        command.arg("build");
        if self.in_source_folder {
            command.arg("--manifest-path").arg(self.package.join("Cargo.toml"));
        }
        command
            .args(["--target", self.toolchain.host(), "-i", &self.request.interpreter.maturin_name()])
            .args(["--auditwheel", "skip", "--compatibility", "linux", "--compression-method", "stored"])
            .args(["--profile", &self.settings.profile])
            .arg("--out")
            .arg(wheels)
            .arg("--")
            .args(self.rustc_arguments());
        self.set_environment(&mut command);
        command
    }

    /// For the script's own crate alone: flags for all would compile the dependencies once per folder.
    fn rustc_arguments(&self) -> Vec<String> {
        let folder = self.request.folder().display().to_string();
        let folder = folder.trim_end_matches(std::path::MAIN_SEPARATOR);
        let remap = |from: &str| format!("--remap-path-prefix={from}{}=", std::path::MAIN_SEPARATOR);
        vec![remap(folder), remap(manifest::COPY_FOLDER)]
    }

    /// What maturin adds by itself.
    fn maturins_rustc_arguments(&self) -> Vec<String> {
        if cfg!(target_os = "macos") {
            let library = format!("{}{}", self.request.stem(), self.request.interpreter.extension_suffix);
            return vec!["-C".into(), format!("link-args=-Wl,-install_name,@rpath/{library}")];
        }
        Vec::new()
    }

    fn set_environment(&self, command: &mut Command) {
        for name in env_vars::INTERPRETER_CHOICE {
            command.env_remove(name);
        }
        for name in [env_vars::CARGO, env_vars::CARGO_TERM_QUIET, env_vars::CARGO_TERM_VERBOSE] {
            command.env_remove(name);
        }
        let folder = if self.in_source_folder { self.request.folder().to_owned() } else { self.package.to_owned() };
        command
            .current_dir(folder)
            .env(env_vars::PATH, self.toolchain.path())
            .env(env_vars::CARGO_TARGET_DIR, self.lane.home())
            .env(env_vars::CARGO_BUILD_BUILD_DIR, self.lane.home())
            .env(env_vars::PYO3_CONFIG_FILE, self.cache.pyo3_config())
            // maturin sets it as well; for cargo's messages both runs have to agree.
            .env(env_vars::PYO3_BUILD_EXTENSION_MODULE, "1")
            .env(env_vars::CARGO_TERM_COLOR, "never")
            .env(env_vars::CARGO_TERM_PROGRESS_WHEN, "always")
            .env(env_vars::CARGO_TERM_PROGRESS_WIDTH, "80");
        if self.has_cpython {
            let python = self.request.interpreter.base_executable();
            // Where there is none it looks on PATH.
            if python.is_file() {
                command.env(env_vars::PYTHON_SYS_EXECUTABLE, python);
            }
        }
        if cfg!(target_os = "macos") && env_vars::get(env_vars::MACOSX_DEPLOYMENT_TARGET).is_none() {
            let oldest = if cfg!(target_arch = "aarch64") { "11.0" } else { "10.12" };
            command.env(env_vars::MACOSX_DEPLOYMENT_TARGET, oldest);
        }
    }

    /// The library in the wheel.
    fn read_library(&self, wheels: &Path) -> Option<Vec<u8>> {
        let wheels = std::fs::read_dir(wheels).ok()?.filter_map(|item| Some(item.ok()?.path()));
        let wheel = wheels.filter(|path| path.extension().is_some_and(|extension| extension == "whl")).last()?;
        let mut archive = zip::ZipArchive::new(std::fs::File::open(wheel).ok()?).ok()?;
        let suffix = Path::new(&self.request.interpreter.extension_suffix).extension()?.to_owned();
        let name = archive
            .file_names()
            .flatten()
            .find(|name| Path::new(name.as_ref()).extension() == Some(&suffix) && !name.contains(".libs/"))?
            .into_owned();
        let mut library = Vec::new();
        archive.by_name(&name).ok()?.read_to_end(&mut library).ok()?;
        Some(library)
    }

    /// Makes an error of a failed run.
    fn explain(&self, words: &[String], finished: &Finished, host: &mut dyn Host) -> Result<Error> {
        let output = text(&finished.stderr);
        let says = |what: &str| output.contains(what);
        if says("No space left on device") || says("os error 28") {
            return Ok(Error::cache_io("build in", self.lane.home(), &std::io::ErrorKind::StorageFull.into()));
        }
        if says("error: unexpected argument") || says("error: unrecognized subcommand") {
            return Ok(too_old(Path::new(&words[0]), host));
        }
        if says("linker `") && says("not found") {
            return Ok(Error::toolchain(
                format!("{} cannot be linked: {}", self.name(), first_error(&output)),
                "rustc needs a C compiler to link: install one (Debian: `apt install gcc`, macOS: \
                 `xcode-select --install`, Windows: the Visual Studio build tools)",
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
        if says("could not compile") {
            let messages = self.replay(host)?;
            failure.diagnostics = messages.diagnostics;
            let errors = failure.diagnostics.iter().filter(|diagnostic| diagnostic.level.contains("error"));
            let rendered: Vec<&str> = errors.map(|diagnostic| diagnostic.rendered.trim_end()).collect();
            if !rendered.is_empty() {
                let count = rendered.len();
                failure.message =
                    format!("{} does not compile ({count} error{})", self.name(), if count == 1 { "" } else { "s" });
                failure.rendered = rendered.join("\n\n");
            }
        }
        if failure.message.is_empty() {
            let killed = finished.status.code().and_then(|code| code.checked_sub(128)).filter(|signal| *signal > 0);
            let reason = match killed {
                Some(signal) => format!("{} was killed by signal {signal}", self.builder),
                None => first_error(&output),
            };
            failure.message = format!("{} could not be built: {reason}", self.name());
        }
        failure.hint = hint(&output, &failure.diagnostics);
        Ok(Error::Build(Box::new(failure)))
    }
}

/// What a program says of its version; `None` if it does not.
pub fn version_of(program: &Path, host: &mut dyn Host) -> Option<String> {
    let mut command = process::command(program);
    command.arg("--version");
    let finished = process::spawn(command).ok()?.finish(host, |_, _| {}).ok()?;
    finished.status.success().then(|| text(&finished.stdout).trim().to_owned())
}

fn too_old(maturin: &Path, host: &mut dyn Host) -> Error {
    let version = version_of(maturin, host).unwrap_or_default();
    Error::toolchain(
        format!("{} ({version}) does not understand what rustimport asks of it", maturin.display()),
        "rustimport needs maturin 1.9.6 or later, below 2: `python -m pip install \"maturin>=1.9.6,<2\"`",
    )
}

/// This environment's maturin, whether or not the environment is activated.
pub fn find_maturin(request: &Request) -> Result<PathBuf> {
    if let Some(chosen) = &request.settings.maturin {
        return which::which(chosen).map_err(|_| {
            Error::toolchain(
                format!("{} is set as the maturin to use, but is no program", chosen.display()),
                "correct RUSTIMPORT_MATURIN_EXECUTABLE",
            )
        });
    }
    let folders = &request.interpreter.script_folders;
    let own = folders.iter().map(|folder| folder.join(program("maturin"))).find(|path| path.is_file());
    own.or_else(|| which::which("maturin").ok()).ok_or_else(|| {
        let looked = folders.first().map_or_else(|| "PATH".into(), |folder| format!("{} or on PATH", folder.display()));
        Error::toolchain(format!("maturin was not found in {looked}"), INSTALL)
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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
        let is_emoji = line.chars().next().is_some_and(|c| c as u32 > 0x2500);
        !is_emoji && !line.is_empty() && !CHATTER.iter().any(|start| line.starts_with(start))
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
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

/// What to do about a failed build, as far as its words tell.
fn hint(output: &str, diagnostics: &[Diagnostic]) -> String {
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
            return format!(
                "newer versions of pyo3 have `{new}` for `{old}`; to stay with an older one, write \
                 `//: [dependencies]` and `//: pyo3 = \"0.23\"` at the top of the script, or set \
                 `pyo3 = \"0.23\"` in [tool.rustimport] of pyproject.toml, or RUSTIMPORT_PYO3=0.23"
            );
        }
    }
    let unlinked = errors().find_map(|error| {
        let (_, after) = error.rendered.split_once("unresolved module or unlinked crate `")?;
        after.split_once('`').map(|(name, _)| name.to_owned())
    });
    if let Some(name) = unlinked {
        return format!(
            "if `{name}` is a crate, name it at the top of the script, above all code: `//: [dependencies]` and \
             `//: {name} = \"…\"` with its version; if it is a module, write `mod {name};`"
        );
    }
    let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
    if !has_compiled(output) && says(&["you're using offline mode", "--offline was specified"]) {
        "CARGO_NET_OFFLINE, or cargo's configuration, keeps cargo off the network, and something is not on this \
         machine: let it download once"
            .into()
    } else if !has_compiled(output) && says(&["no matching package", "failed to select a version"]) {
        "check the names and versions in the `//:` lines of the script".into()
    } else if is_about_network(output) {
        "a dependency has to be downloaded, and the registry could not be reached: check the network, then \
         import again"
            .into()
    } else if says(&["profile `"]) && says(&["is not defined"]) {
        "profiles are dev, release, fast, small, and those that the script defines: `//: [profile.NAME]` with \
         `//: inherits = \"release\"`"
            .into()
    } else if says(&["failed to load manifest for dependency", "failed to read `"]) {
        "the `path` of a dependency in the `//:` lines is relative to the script's folder: check it".into()
    } else if says(&["failed to parse manifest", "invalid type", "unknown variant"]) {
        "check the `//:` lines of the script: together they form its Cargo.toml".into()
    } else if errors().next().is_some() {
        "mend the source and import again; what was built last stays in place".into()
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
        assert!(hint("", &[error("no function `with_gil` found")]).contains("Python::attach"));
        assert!(hint(output, &[]).contains("names and versions"));
        assert_eq!(missing_package(output).as_deref(), Some("nope"));
        assert!(!is_about_network(output));
        assert!(is_about_network("error: failed to download `x v1`"));
        assert!(!is_about_network("\"Connection refused\"\nerror: could not compile `m`"));
    }
}
