//! Operations on paths as text. Nothing here accesses the disk.

use std::path::{Component, Path, PathBuf};

/// Removes `.` and `..` as cargo does, without resolving links.
pub fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

/// The path relative to a folder, with forward slashes, which TOML and Rust need. Both arguments are absolute.
pub fn relative(path: &Path, folder: &Path) -> String {
    let (path, folder) = (normal(path), normal(folder));
    let common = path.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(common).map(|_| Component::ParentDir);
    let parts: PathBuf = up.chain(path.components().skip(common)).collect();
    parts.display().to_string().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_a_folder() {
        let check = |path: &str, folder: &str, expected: &str| {
            assert_eq!(relative(Path::new(path), Path::new(folder)), expected, "{path} from {folder}");
        };
        check("/a/b/x.rs", "/a/b/c/src", "../../x.rs");
        check("/a/b/../x.rs", "/a/b", "../x.rs");
        check("/a/b/c/x.rs", "/a/b", "c/x.rs");
    }
}
