//! Queries git for what it ignores in a package. Cargo does the same: if a build script declares no inputs, every file of
//! its package counts, except those that git ignores.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::env_vars;
use crate::base::process;

/// Whether a package is in a repository that tracks it. Otherwise, cargo counts all its files; so it does if its manifest
/// has a list of what to `include`.
pub fn tracks(package: &Path, includes: bool) -> bool {
    !includes && run(package, &["--", "Cargo.toml"]).is_some_and(|found| !found.is_empty())
}

/// Removes from `files`, which are in `folder`, those that git ignores. Without an answer, none is removed.
pub fn remove_ignored(folder: &Path, files: &mut Vec<PathBuf>) {
    let options = ["--others", "--ignored", "--exclude-standard", "--directory"];
    let Some(ignored) = run(folder, &options).filter(|found| !files.is_empty() && !found.is_empty()) else { return };
    let ignored = String::from_utf8_lossy(&ignored);
    let ignored: Vec<PathBuf> = ignored.split_terminator('\0').map(|path| folder.join(path)).collect();
    files.retain(|file| !ignored.iter().any(|path| file.starts_with(path)));
}

/// What `git ls-files` lists, separated by zeros.
fn run(folder: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let mut command = command(folder);
    // Repositories can name a program there.
    command.args(["-c", "core.fsmonitor=false", "ls-files", "-z"]).args(arguments);
    process::answer(command)
}

fn command(folder: &Path) -> Command {
    let mut command = process::command(Path::new("git"));
    command.current_dir(folder);
    for name in env_vars::GIT_PLACE {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("package");
        std::fs::create_dir_all(root.join("htmlcov/deep")).unwrap();
        let files =
            ["Cargo.toml", "README", "run.log", "kept.log", "htmlcov/deep/index.html"].map(|name| root.join(name));
        for file in &files {
            std::fs::write(file, "").unwrap();
        }
        std::fs::write(folder.path().join(".gitignore"), "*.log\nhtmlcov\n").unwrap();
        let git = |arguments: &[&str]| {
            let mut command = command(folder.path());
            command.args(arguments);
            process::answer(command)
        };
        let rest = || {
            let mut rest = files.to_vec();
            remove_ignored(&root, &mut rest);
            rest
        };
        // Without git, or a repository, nothing is removed.
        let is_inside = run(&root, &[]).is_some();
        if is_inside || git(&["init", "--quiet"]).is_none() {
            return;
        }
        assert!(!tracks(&root, false));
        git(&["add", "--force", "package/Cargo.toml", "package/kept.log"]).unwrap();
        assert!(tracks(&root, false) && !tracks(&root, true));
        assert_eq!(rest(), [&files[0], &files[1], &files[3]].map(Clone::clone));
    }
}
