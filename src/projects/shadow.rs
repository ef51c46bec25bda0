//! What Python would load in place of a library that was installed. Python tries the suffixes of extension modules in a
//! fixed order, so a library that an earlier configuration left (`_core.cpython-311-….so`, before a switch to the
//! stable ABI) comes before the new one (`_core.abi3.so`).

use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::build::wheel::is_native;

/// Removes what Python would load in place of `artifact`, if it was built for the same place: `is_ours` recognises files
/// that rustimport or maturin is known to have installed. `suffix` is the interpreter's own suffix.
///
/// # Errors
/// Something else comes before the library, so Python would import that.
pub fn uncover(
    artifact: &Path,
    suffix: &str,
    is_ours: &dyn Fn(&Path) -> bool,
    observer: &mut dyn Observer,
) -> Result<()> {
    for other in before(artifact, suffix) {
        let is_leftover = other.is_file() && (is_ours(&other) || is_from_pyo3(&other));
        if is_leftover && fs::remove_users_file(&other).is_ok() {
            let message = format!(
                "removed {}, the library of an earlier configuration: Python would have loaded it instead of {}",
                other.display(),
                artifact.display()
            );
            observer.event(Event::Notice { message });
            continue;
        }
        return Err(Error::project(
            artifact,
            format!("{} was built, but Python would import {} instead of it", artifact.display(), other.display()),
            format!("remove or rename {}, or give the module another name", other.display()),
        ));
    }
    Ok(())
}

/// The name that must stay absent for a library to be loaded: with the interpreter's own suffix.
pub fn first_name(artifact: &Path, suffix: &str) -> Option<PathBuf> {
    let stem = artifact.file_name()?.to_str()?.split('.').next()?;
    let first = artifact.with_file_name(format!("{stem}{suffix}"));
    (first != artifact && is_native(artifact)).then_some(first)
}

/// The modules in the folder of an extension module that Python finds before it.
pub fn before(artifact: &Path, suffix: &str) -> Vec<PathBuf> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own = name(artifact);
    let (Some(folder), Some((stem, own))) = (artifact.parent(), own.split_once('.')) else { return Vec::new() };
    let Some(own) = rank(own, suffix) else { return Vec::new() };
    let is_before = |path: &PathBuf| {
        let name = name(path);
        let its = name.split_once('.').filter(|(known, _)| *known == stem).and_then(|(_, its)| rank(its, suffix));
        is_native(path) && its.is_some_and(|its| its < own)
    };
    let mut found: Vec<PathBuf> = fs::items(folder).map(|item| item.path()).filter(is_before).collect();
    let package = folder.join(stem).join("__init__.py");
    found.extend(Some(package).filter(|package| package.is_file()));
    found
}

/// The place of a suffix, without its dot, in the order in which the interpreter tries them; `None` if it does not.
fn rank(of: &str, suffix: &str) -> Option<u8> {
    if of == suffix.trim_start_matches('.') {
        Some(0)
    } else if of.starts_with("abi3") {
        Some(1)
    } else {
        (!of.contains('.')).then_some(2)
    }
}

/// Whether a library is an extension module that was made with pyo3, as it lies in the place of another one.
fn is_from_pyo3(path: &Path) -> bool {
    let library = fs::read(path).unwrap_or_default();
    let stem = path.file_name().and_then(|name| name.to_str()?.split('.').next()).unwrap_or_default();
    let has = |text: &str| memchr::memmem::find(&library, text.as_bytes()).is_some();
    has(&format!("PyInit_{stem}")) && has("pyo3")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_finds_first() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["m.cpython-311-x.so", "m.cpython-312-x.so", "m.abi3.so", "m.so", "other.so", "m.txt"] {
            std::fs::write(place(name), "").unwrap();
        }
        let check = |artifact: &str, expected: &[&str]| {
            let mut found = before(&place(artifact), ".cpython-311-x.so");
            found.sort();
            assert_eq!(found, expected.iter().map(|name| place(name)).collect::<Vec<_>>(), "{artifact}");
        };
        check("m.cpython-311-x.so", &[]);
        check("m.abi3.so", &["m.cpython-311-x.so"]);
        check("m.so", &["m.abi3.so", "m.cpython-311-x.so"]);
        check("other.so", &[]);
        std::fs::create_dir(place("other")).unwrap();
        check("other.so", &[]);
        std::fs::write(place("other").join("__init__.py"), "").unwrap();
        check("other.so", &["other/__init__.py"]);
    }
}
