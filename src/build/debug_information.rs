//! Removes the debug information of a library, which contains the path of the tree that it was built in. What the
//! library does stays the same.

use std::path::Path;

use crate::base::event::Observer;
use crate::base::fs;
use crate::base::process;

/// A copy of a library without debug information. Without the platform's `strip`, which comes with linkers, or if that
/// fails, the library as it is.
pub fn without(library: Vec<u8>, folder: &Path, observer: &mut dyn Observer) -> Vec<u8> {
    stripped(&library, folder, observer).unwrap_or(library)
}

fn stripped(library: &[u8], folder: &Path, observer: &mut dyn Observer) -> Option<Vec<u8>> {
    let strip = which::which("strip").ok()?;
    let folder = fs::temporary_folder(folder, "strip").ok()?;
    let path = folder.path().join("library");
    fs::write(&path, library).ok()?;
    let mut command = process::command(&strip);
    // Of both, GNU's and Apple's.
    command.arg("-S").arg(&path);
    let finished = process::spawn(command).ok()?.finish(observer, |_, _| {}).ok()?;
    if finished.status.success() { fs::read(&path).ok() } else { None }
}
