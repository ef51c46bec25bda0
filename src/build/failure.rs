//! Converts a failed run of a build tool to an error that says what is wrong and what to do.

use std::io::ErrorKind;
use std::path::Path;

use crate::base::diagnostic::Diagnostic;
use crate::base::error::{BuildFailure, Error};
use crate::base::event::Observer;
use crate::build::maturin;
use crate::build::runner::{Failed, Runner, text};
use crate::env::request::SourceKind;
use crate::output::cargo::{self, compilers_words, complaint, first_error, is_about_network};
use crate::output::hint::{self, FIX};
use crate::output::linker::{LinkFailure, link_failure};

/// Whether the compiler found errors, which cargo can repeat as messages.
pub fn is_in_code(failed: &Failed) -> bool {
    text(&failed.finished.stderr).contains("could not compile")
}

/// The error for the user. `diagnostics` are cargo's messages.
pub fn explain(runner: &Runner, failed: &Failed, diagnostics: Vec<Diagnostic>, observer: &mut dyn Observer) -> Error {
    let Failed { words, finished, missing } = failed;
    let output = runner.renamed(&text(&finished.stderr));
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
        let error = Error::cache_io("build in", runner.target, &(*refusal).into());
        // A project has its own target folder, in its workspace.
        return match error {
            Error::Cache { message, hint, path } if runner.request.kind == SourceKind::Project => {
                Error::Cache { message, hint: hint.replace("RUSTIMPORT_CACHE_DIR", "CARGO_TARGET_DIR"), path }
            }
            error => error,
        };
    }
    if says("error: unexpected argument") || says("error: unrecognized subcommand") {
        return maturin::too_old(Path::new(&words[0]), observer);
    }
    let linker = link_failure(&complaint, runner.request.settings.arguments.target.as_deref());
    if let Some(LinkFailure { hint, is_missing: true }) = linker {
        return Error::toolchain(format!("{} cannot be linked: {}", runner.name(), first_error(&complaint)), hint);
    }
    let mut failure = BuildFailure {
        message: String::new(),
        hint: String::new(),
        rendered: compilers_words(&output),
        diagnostics: Vec::new(),
        command: words.clone(),
        returncode: finished.status.code(),
    };
    if !errors.is_empty() {
        let (count, plural) = (errors.len(), if errors.len() == 1 { "" } else { "s" });
        failure.message = format!("{} does not compile ({count} error{plural})", runner.name());
        let rendered: Vec<&str> = errors.iter().map(|error| error.rendered.trim_end()).collect();
        failure.rendered = rendered.join("\n\n");
    }
    failure.diagnostics = diagnostics;
    if failure.message.is_empty() {
        let reason = match finished.signal() {
            Some(signal) => format!("{} was killed by signal {signal}", runner.tool),
            None => first_error(&output),
        };
        failure.message = format!("{} could not be built: {reason}", runner.name());
    }
    failure.hint = hint::of(&output, &failure.diagnostics, runner.request.kind == SourceKind::Script);
    if let Some(LinkFailure { hint, .. }) = linker {
        failure.message = format!("{} cannot be linked", runner.name());
        failure.hint = hint;
    }
    if cargo::has_noexec_signs(&output) {
        let variable =
            if runner.request.kind == SourceKind::Project { "CARGO_TARGET_DIR" } else { "RUSTIMPORT_CACHE_DIR" };
        failure.hint = format!(
            "programs cannot be run in {}, most likely since its file system is mounted `noexec`: set {variable} to \
             a folder elsewhere",
            runner.target.display()
        );
    }
    if let Some(missing) = missing
        && is_about_network(&text(&finished.stderr))
    {
        failure.message = format!(
            "{} could not be built: `{missing}` is not on this machine, and the registry cannot be reached",
            runner.name()
        );
    }
    if failure.hint == FIX && runner.request.cell.is_some() {
        failure.hint = "fix the error and run the cell again".into();
    }
    Error::Build(Box::new(failure))
}
