//! Writes stamps: the stats of an artifact and its inputs, in a text that Python reads and compares in microseconds,
//! without loading the core. The reader is in `python/rustimport/_cache.py`. A stamp never proves that an artifact is stale: if anything
//! differs, Python calls the core, which checks the content.
//!
//! ```text
//! rustimport-stamp 2 <entry>
//! <context> <1 if the source opted in>
//! <source>
//! F <size> <mtime> <ctime>\t<path>         the artifact first, then every file; `F -` is never equal
//! D <mtime> <ctime>\t<path>\t<name>\t…     names that must stay absent; checked if the folder changed
//! L <mtime> <ctime>\t<path>                a folder whose listing is an input
//! V\t<name>=<value>                        a variable's value
//! U\t<name>\t…                             variables that must stay unset
//! <hash of all lines above>
//! ```

use std::fmt::Write;
use std::path::Path;

use crate::base::error::Error;
use crate::base::fs::{self, Stat, Watched};
use crate::base::text::{escape, unescape};
use crate::env::cargo_config::CargoConfig;
use crate::env::interpreter::Interpreter;
use crate::env::request::Request;
use crate::env::toolchain::Toolchain;
use crate::freshness::inputs::{Inputs, Snapshot};

/// The stamp for an artifact that was just built or found fresh.
fn stamp(
    request: &Request,
    artifact: &Path,
    inputs: &Inputs,
    snapshot: &Snapshot,
    cargo_config: &CargoConfig,
    toolchain: &[Watched],
) -> Option<String> {
    // All variables would make the stamp too long.
    if inputs.environment.is_some() {
        return None;
    }
    let marked = u8::from(request.marked);
    let mut text =
        format!("rustimport-stamp 2 {}\n{} {marked}\n{}\n", request.entry, request.context, escape(&request.root));
    // Artifacts are not edited, so the stat need not have settled.
    let artifact = (artifact.to_owned(), Stat::of(artifact));
    for (path, stat) in [&artifact].into_iter().chain(&snapshot.files).chain(&cargo_config.watched).chain(toolchain) {
        let _ = match stat {
            Some(stat) => writeln!(text, "F {} {} {}\t{}", stat.size, stat.mtime, stat.ctime, escape(path)),
            None => writeln!(text, "F -\t{}", escape(path)),
        };
    }
    let times = |stat: &Option<Stat>| match stat {
        Some(stat) => format!("{} {}", stat.mtime, stat.ctime),
        None => "-".into(),
    };
    let mut absent: Vec<(&Path, &Path)> =
        inputs.absent.iter().filter_map(|path| Some((path.parent()?, Path::new(path.file_name()?)))).collect();
    for (folder, (stat, names)) in cargo_config.absent.iter().filter(|(_, (_, names))| !names.is_empty()) {
        let _ = write!(text, "D {}\t{}\t{}", times(stat), escape(folder), names.join("\t"));
        // Their absence was checked after this folder's times were read.
        for (_, name) in absent.extract_if(.., |(parent, _)| *parent == folder) {
            let _ = write!(text, "\t{}", escape(name));
        }
        text.push('\n');
    }
    for (folder, name) in absent {
        let _ = writeln!(text, "D -\t{}\t{}", escape(folder), escape(name));
    }
    for (folder, stat) in &snapshot.folders {
        let _ = writeln!(text, "L {}\t{}", times(stat), escape(folder));
    }
    let mut unset = Vec::new();
    for variable in &inputs.variables {
        let name = escape(Path::new(&variable.name));
        match variable.value().ok()? {
            Some(value) => {
                let _ = writeln!(text, "V\t{name}={}", escape(Path::new(&value)));
            }
            None => unset.push(name),
        }
    }
    if !unset.is_empty() {
        let _ = writeln!(text, "U\t{}", unset.join("\t"));
    }
    Some(sealed(text, &request.interpreter))
}

/// Writes the stamp of a source. Errors are ignored: without a stamp, the next import calls the core.
pub fn write(
    file: &Path,
    request: &Request,
    artifact: &Path,
    inputs: &Inputs,
    snapshot: &Snapshot,
    cargo_config: &CargoConfig,
    toolchain: Result<&Toolchain, &Error>,
) {
    let toolchain = toolchain.map_or(&[] as &[_], |toolchain| &toolchain.watched);
    match stamp(request, artifact, inputs, snapshot, cargo_config, toolchain) {
        Some(text) => drop(fs::write(file, text.as_bytes())),
        None => fs::remove(file),
    }
}

/// Shortens a stamp in the shared cache to the lines that locate the artifact. Other users must not see the values of
/// variables, and their variables and toolchains differ in any case.
pub fn shorten(file: &Path) -> Result<(), Error> {
    let Ok(stamp) = fs::read(file) else { return Ok(()) };
    let lines: Vec<&[u8]> = stamp.split_inclusive(|byte| *byte == b'\n').take(4).collect();
    fs::write(file, &lines.concat()).map(drop)
}

/// Whether all files of a stamp still have the recorded stats. Python calls this for stamps with many files, since it
/// is faster.
pub fn files_are_unchanged(stamp: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stamp);
    let lines: Vec<&str> = text.split('\n').filter_map(|line| line.strip_prefix("F ")).collect();
    let is_unchanged = |line: &&str| {
        let Some((stats, path)) = line.split_once('\t') else { return false };
        let mut numbers = stats.split(' ').map(str::parse);
        let mut next = || numbers.next().and_then(Result::ok).unwrap_or(i64::MIN);
        let (size, mtime, ctime) = (u64::try_from(next()).unwrap_or(u64::MAX), next(), next());
        let found = if path.contains('%') { Stat::of(&unescape(path)) } else { Stat::of(Path::new(path)) };
        found == Some(Stat { size, mtime, ctime })
    };
    let count = lines.len().div_ceil(std::thread::available_parallelism().map_or(1, |count| count.get().min(4))).max(1);
    let check = &|lines: &[&str]| lines.iter().all(is_unchanged);
    std::thread::scope(|scope| {
        let start = |lines| std::thread::Builder::new().spawn_scoped(scope, move || check(lines));
        let threads: Vec<_> = lines.chunks(count).map(start).collect();
        // If a thread cannot be started, the files count as changed, and the core checks them.
        threads.into_iter().all(|thread| thread.is_ok_and(|thread| thread.join().unwrap_or(false)))
    })
}

/// Appends a line with the hash of the text.
pub fn sealed(text: String, interpreter: &Interpreter) -> String {
    let seal = interpreter.source_hash(text.as_bytes());
    text + &seal + "\n"
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn many_files_are_checked_together() {
        const END: &str = if cfg!(windows) { "" } else { "\n" };
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..9).map(|number| folder.path().join(format!("{number} %{END}"))).collect();
        let line = |path: &PathBuf| {
            std::fs::write(path, "x").unwrap();
            let stat = Stat::of(path).unwrap();
            format!("F {} {} {}\t{}\n", stat.size, stat.mtime, stat.ctime, escape(path))
        };
        let stamp: String = paths.iter().map(line).collect::<String>() + "D -\t/x\ty\n";
        assert!(files_are_unchanged(stamp.as_bytes()));
        std::fs::write(&paths[7], "xy").unwrap();
        assert!(!files_are_unchanged(stamp.as_bytes()));
        assert!(!files_are_unchanged(b"F -\t/\n"));
    }
}
