//! Patterns of input files, as in `//d:` lines: absolute globs, in which a folder means all files below it.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::base::fs::{self, Watched};
use crate::freshness::{cargo_layout, git};

/// A pattern as an absolute glob; `None` if it is not valid.
pub fn absolute(folder: &Path, pattern: &str) -> Option<String> {
    let joined = if Path::new(pattern).is_absolute() {
        pattern.to_owned()
    } else {
        format!("{}/{}", glob::Pattern::escape(folder.to_str()?), pattern.trim_start_matches("./"))
    };
    let joined = joined.trim_end_matches('/').to_owned();
    glob::Pattern::new(&joined).is_ok().then_some(joined)
}

/// The end of a pattern that does not match what git ignores.
const UNLESS_IGNORED: &str = "//unless-ignored";

/// A pattern that matches the same files, except those that git ignores.
pub fn unless_ignored(pattern: &str) -> String {
    format!("{pattern}{UNLESS_IGNORED}")
}

/// The files that a pattern matches.
pub fn matches(pattern: &str) -> Vec<PathBuf> {
    matches_besides(pattern, &BTreeSet::new())
}

/// The files that a pattern matches, without those that are `known`. Git is run only if there are any.
pub fn matches_besides(pattern: &str, known: &BTreeSet<&Path>) -> Vec<PathBuf> {
    let Some(plain) = pattern.strip_suffix(UNLESS_IGNORED) else {
        let mut found = matches_glob(pattern);
        found.retain(|file| !known.contains(file.as_path()));
        return found;
    };
    let mut found = matches_besides(plain, known);
    if !found.is_empty() {
        git::remove_ignored(&folder_of(plain), &mut found);
    }
    found
}

/// The folder that the first part of a glob with magic is in.
fn folder_of(glob: &str) -> PathBuf {
    let parts: Vec<&str> = glob.split('/').collect();
    let first = parts.iter().position(|part| is_magic(part)).unwrap_or(parts.len());
    PathBuf::from(literal(&parts[..first].join("/")))
}

fn matches_glob(pattern: &str) -> Vec<PathBuf> {
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    let (prefix, is_deep) = above_any_depth(pattern);
    let found = expand(prefix);
    if is_deep {
        let found = without_caches(prefix, found);
        let Ok(pattern) = glob::Pattern::new(pattern) else { return Vec::new() };
        let files = found.iter().flat_map(|folder| below(folder).files);
        return files.filter(|file| pattern.matches_path_with(file, options)).collect();
    }
    let is_named = !is_magic(pattern.rsplit('/').next().unwrap_or_default());
    let files = |path: PathBuf| {
        if path.is_file() {
            vec![path]
        } else if is_named {
            below(&path).files
        } else {
            Vec::new()
        }
    };
    found.into_iter().flat_map(files).collect()
}

/// Whether a pattern matches a file that may be gone.
pub fn is_match(pattern: &str, file: &Path) -> bool {
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    glob::Pattern::new(pattern)
        .is_ok_and(|pattern| file.ancestors().any(|path| pattern.matches_path_with(path, options)))
}

/// The folders that are listed to match a pattern.
pub fn listed_folders(pattern: &str) -> Vec<Watched> {
    let pattern = pattern.strip_suffix(UNLESS_IGNORED).unwrap_or(pattern);
    let (prefix, is_deep) = above_any_depth(pattern);
    let parts: Vec<&str> = prefix.split('/').collect();
    let last = if is_deep { parts.len() } else { parts.len() - 1 };
    let first = parts.iter().position(|part| is_magic(part)).unwrap_or(last);
    let above = (first..parts.len()).map(|end| parts[..end].join("/"));
    let above = above.flat_map(|above| expand(if above.is_empty() { "/" } else { &above }));
    // A folder that does not exist may appear in the nearest one that does.
    let plain = PathBuf::from(literal(&parts[..first].join("/")));
    let nearest = plain.ancestors().find(|folder| folder.is_dir()).map(Path::to_owned);
    let above = above.chain(nearest.filter(|folder| *folder != plain));
    let mut folders: BTreeSet<PathBuf> = above.filter(|path| path.is_dir()).collect();
    if is_deep || !is_magic(parts[parts.len() - 1]) {
        folders.extend(without_caches(prefix, expand(prefix)).iter().flat_map(|folder| below(folder).folders));
    }
    folders.iter().map(|folder| fs::watch(folder)).collect()
}

/// Whether a part of a glob can match several names. A character in brackets is that character.
fn is_magic(part: &str) -> bool {
    ESCAPED.iter().fold(part.to_owned(), |part, escaped| part.replace(escaped, "")).contains(['*', '?', '['])
}

/// The name that a glob without magic matches.
fn literal(glob: &str) -> String {
    ESCAPED.iter().fold(glob.to_owned(), |glob, escaped| glob.replace(escaped, &escaped[1..2]))
}

const ESCAPED: [&str; 4] = ["[[]", "[]]", "[?]", "[*]"];

/// The part of a pattern before the first `**`, and whether there is one.
fn above_any_depth(pattern: &str) -> (&str, bool) {
    match pattern.find("/**") {
        Some(0) => ("/", true),
        Some(end) => (&pattern[..end], true),
        None => (pattern, false),
    }
}

/// Leaves out the folders of caches, such as `target`, unless the pattern names them.
fn without_caches(prefix: &str, mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    if is_magic(prefix.rsplit('/').next().unwrap_or_default()) {
        let marks = ["CACHEDIR.TAG", cargo_layout::RUSTC_INFO, "pyvenv.cfg"];
        let is_cache = |folder: &Path| marks.iter().any(|mark| folder.join(mark).exists());
        folders.retain(|folder| !folder.ends_with("__pycache__") && !is_cache(folder));
    }
    folders
}

fn expand(glob: &str) -> Vec<PathBuf> {
    glob::glob(glob).into_iter().flatten().flatten().collect()
}

/// All files and folders below a folder, and the folder itself.
struct Below {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

/// Follows links, but enters no folder twice: links can lead to a folder above. What Python compiles is no source.
fn below(folder: &Path) -> Below {
    let mut found = Below { files: Vec::new(), folders: Vec::new() };
    let mut entered = HashSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let is_new = std::fs::canonicalize(&folder).is_ok_and(|real| entered.insert(real));
        let Some(items) = is_new.then(|| std::fs::read_dir(&folder).ok()).flatten() else { continue };
        for item in items.flatten() {
            let path = item.path();
            if path.is_dir() {
                open.extend(Some(path).filter(|path| !path.ends_with("__pycache__")));
            } else if path.is_file() {
                found.files.push(path);
            }
        }
        found.folders.push(folder);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(root: &Path, pattern: &str, files: usize, folders: &[&str]) {
        let pattern = absolute(root, pattern).unwrap();
        assert_eq!(matches(&pattern).len(), files, "{pattern}");
        let expected: Vec<PathBuf> = folders.iter().map(|name| root.join(name)).collect();
        let found: Vec<PathBuf> = listed_folders(&pattern).into_iter().map(|(path, _)| path).collect();
        assert_eq!(found, expected, "{pattern}");
    }

    #[test]
    fn patterns_match_files_and_list_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("x/y/z")).unwrap();
        std::fs::write(root.join("x/y/z/a.txt"), "").unwrap();
        check(root, "x/**/*.txt", 1, &["x", "x/y", "x/y/z"]);
        check(root, "x/**", 1, &["x", "x/y", "x/y/z"]);
        check(root, "x/*/**/a.txt", 1, &["x", "x/y", "x/y/z"]);
        check(root, "x/*/z/a.txt", 1, &["x", "x/y", "x/y/z"]);
        check(root, "x/*.txt", 0, &["x"]);
        check(root, "x/*", 0, &["x"]);
        check(root, "x/y/z/a.txt", 1, &["x/y/z"]);
        check(root, "x/y/", 1, &["x", "x/y", "x/y/z"]);
        check(root, "x/later", 0, &["x"]);
        check(root, "x/later/deep/*.txt", 0, &["x"]);
        check(root, "x/later/**/*.txt", 0, &["x"]);
        std::fs::create_dir(root.join("x/later")).unwrap();
        std::fs::write(root.join("x/later/b.txt"), "").unwrap();
        check(root, "x/later", 1, &["x", "x/later"]);
        std::fs::create_dir(root.join("x/later/__pycache__")).unwrap();
        std::fs::write(root.join("x/later/__pycache__/m.pyc"), "").unwrap();
        std::fs::create_dir(root.join("x/__pycache__")).unwrap();
        std::fs::create_dir(root.join("x/target")).unwrap();
        std::fs::write(root.join("x/target/CACHEDIR.TAG"), "").unwrap();
        check(root, "x/[!.]*/**", 2, &["x", "x/later", "x/y", "x/y/z"]);
        let odd = root.join("[odd]");
        std::fs::create_dir(&odd).unwrap();
        std::fs::write(odd.join("c.txt"), "").unwrap();
        check(root, "[[]odd[]]", 1, &["", "[odd]"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_up_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("x")).unwrap();
        std::fs::write(root.join("x/a.txt"), "").unwrap();
        std::os::unix::fs::symlink(".", root.join("x/one")).unwrap();
        std::os::unix::fs::symlink("..", root.join("x/two")).unwrap();
        check(root, "x", 1, &["", "x", "x/two"]);
        check(root, "x/**/*.txt", 1, &["x", "x/two"]);
    }
}
