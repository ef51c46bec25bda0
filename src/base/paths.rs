//! Operations on paths as text. Nothing here accesses the disk.

use std::path::{Component, Path, PathBuf};

use crate::base::text;

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

/// The folder that a `file:` URL refers to.
pub fn folder_of_url(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("file://")?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let path = text::percent_decoded(path.split(['#', '?']).next().unwrap_or_default());
    let path = String::from_utf8(path).ok()?;
    // `file:///C:/project`
    let has_drive = cfg!(windows) && path.as_bytes().get(2) == Some(&b':');
    let path = if has_drive { &path[1..] } else { &path };
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let path = if cfg!(windows) { path.replace('/', "\\") } else { path.to_owned() };
    Path::new(&path).is_absolute().then(|| PathBuf::from(path))
}

/// The URL of a folder, for [`folder_of_url`].
pub fn url_of(folder: &Path) -> String {
    let path = folder.display().to_string();
    let path = if cfg!(windows) { path.replace('\\', "/") } else { path };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(byte);
    let escaped =
        path.bytes().map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    format!("file://{}{}", if cfg!(windows) { "/" } else { "" }, escaped.collect::<String>())
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

    #[test]
    fn urls() {
        let check =
            |url: &str, expected: Option<&str>| assert_eq!(folder_of_url(url).as_deref(), expected.map(Path::new));
        if cfg!(windows) {
            check("file:///C:/a%20b/gr%C3%B6%C3%9Fe", Some("C:\\a b\\größe"));
            check("file://localhost/C:/x/", Some("C:\\x"));
        } else {
            check("file:///tmp/a%20b/gr%C3%B6%C3%9Fe", Some("/tmp/a b/größe"));
            check("file://localhost/tmp/x/", Some("/tmp/x"));
            check("file:///", Some("/"));
        }
        let folder = Path::new(if cfg!(windows) { "C:\\a b\\%größe" } else { "/a b/%größe?#" });
        assert_eq!(folder_of_url(&url_of(folder)).as_deref(), Some(folder));
        check("https://example.org/x", None);
        check("file:relative", None);
    }
}
