//! Runs a build tool, online or offline, reports its progress, and converts failures to errors. It does not choose the
//! command or interpret the result.

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
use crate::output::cargo::{self, compilers_words, complaint, first_error, is_about_network};
use crate::output::hint::{self, FIX};
use crate::output::linker::{LinkFailure, link_failure};

/// How a build uses the network: first online without retries, then offline, and if a dependency is missing on this
/// machine, online with cargo's usual retries.
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
    /// Cargo's name for the package. Users know it by the name of its module.
    pub package: &'a str,
    pub priority: Priority,
    /// The folder that cargo builds in.
    pub target: &'a Path,
}

impl Runner<'_> {
    /// Runs the tool until a build succeeds or fails for good. `reason` is for the event that reports the start; `read`
    /// finds the result, and `replay` returns cargo's messages of the failed run.
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
            // Only the first run reports a start.
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
                        hint: "check its output above, and import again with RUSTIMPORT_FORCE_REBUILD=1".into(),
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
                Network::Off => !cargo::has_compiled(&output) && output.contains("offline"),
                Network::Patient => false,
            };
            if !goes_on {
                break;
            }
        }
        observer.event(Event::Failed { seconds: start.elapsed().as_secs_f64() });
        let missing = failures.get(1).and_then(|(_, offline)| cargo::missing_package(&text(&offline.stderr)));
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

    /// Runs the tool once. Reports `reason`, if given, as the reason for the start.
    fn run(&self, command: Command, reason: Option<&str>, observer: &mut dyn Observer) -> Result<Finished> {
        let words = process::words(&command);
        let running = process::spawn_bound(command, self.priority)
            .map_err(|error| Error::toolchain(format!("cannot start {}: {error}", words[0]), maturin::INSTALL))?;
        // Reported after the start, so that the message is printed while maturin already runs.
        if let Some(reason) = reason {
            observer.event(Event::Started { reason: reason.into() });
        }
        observer.event(Event::Log { message: format!("runs {}", words.join(" ")) });
        let mut logged = 0;
        let mut has_waited = false;
        running.finish(observer, |line, observer| {
            let line = &text::without_ansi(line);
            if let Some(progress) = cargo::progress(&self.renamed(line)) {
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

    /// Replaces the name of a script's generated package by the script's name.
    fn renamed(&self, output: &str) -> String {
        match self.request.kind {
            SourceKind::Script => output.replace(self.package, self.request.stem()),
            _ => output.to_owned(),
        }
    }

    fn name(&self) -> String {
        self.request.root.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Converts a failed run to an error with a hint.
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
        failure.hint = hint::of(&output, &failure.diagnostics, self.request.kind == SourceKind::Script);
        if let Some(LinkFailure { hint, .. }) = linker {
            failure.message = format!("{} cannot be linked", self.name());
            failure.hint = hint;
        }
        if cargo::has_noexec_signs(&output) {
            let variable =
                if self.request.kind == SourceKind::Project { "CARGO_TARGET_DIR" } else { "RUSTIMPORT_CACHE_DIR" };
            failure.hint = format!(
                "programs cannot be run in {}, most likely since its file system is mounted `noexec`: set {variable} to \
                 a folder elsewhere",
                self.target.display()
            );
        }
        if failure.hint == FIX && self.request.cell.is_some() {
            failure.hint = "fix the error and run the cell again".into();
        }
        Ok(Error::Build(Box::new(failure)))
    }
}

/// Runs a command to the end, without reporting its progress.
pub fn repeat(command: Command, priority: Priority, observer: &mut dyn Observer) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    let running = process::spawn_bound(command, priority)
        .map_err(|error| Error::toolchain(format!("cannot start {program}: {error}"), "try again"))?;
    running.finish(observer, |_, _| {})
}

/// Runs `cargo clean` for packages. A failure is not an error: the check after the build detects packages that cargo
/// did not compile.
pub fn clean(mut command: Command, packages: &BTreeSet<String>, observer: &mut dyn Observer) -> Result<()> {
    command.args(packages.iter().flat_map(|package| ["-p", package]));
    observer.event(Event::Log { message: format!("runs {}", process::words(&command).join(" ")) });
    let finished = repeat(command, Priority::Normal, observer)?;
    if !finished.status.success() {
        observer.event(Event::Log { message: format!("cargo clean: {}", text(&finished.stderr).trim()) });
    }
    Ok(())
}

/// Bytes as text, without colours, which the user's settings may have enabled.
pub fn text(bytes: &[u8]) -> String {
    text::without_ansi(&String::from_utf8_lossy(bytes))
}
