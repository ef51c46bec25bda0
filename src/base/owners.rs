//! Which other users could change what a path leads to. What is read twice, by this program and then by cargo or Python,
//! can be trusted only if nobody else can exchange it in between. So not the instant of a check counts, but who could
//! write: every folder, link and file that the path leads through belongs to a trusted user, and a folder that others can
//! write to is sticky, which leaves alone what belongs to someone else.
//!
//! On Windows, access control lists make the user's folders private, and nothing is checked.

#[cfg(not(unix))]
use std::path::Path;
use std::path::PathBuf;

/// The users who are trusted with what is around the sources in a folder.
#[derive(Debug, Clone, Default)]
#[must_use]
#[cfg_attr(not(unix), expect(dead_code))]
pub struct Trusted {
    users: Vec<u32>,
    /// A group whose members can write to the sources' folder.
    group: Option<u32>,
    /// Everyone can write to it. Some systems know no other permissions, such as Windows' disks in WSL.
    anyone: bool,
}

/// Something that another user can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    pub path: PathBuf,
    /// The user that it belongs to; `None` if it has permissions that let others write to it.
    pub owner: Option<u32>,
}

impl Exposed {
    /// What is wrong, for messages.
    pub fn problem(&self) -> String {
        match self.owner {
            Some(uid) => format!("{} belongs to another user (uid {uid})", self.path.display()),
            None => format!("{} is writable by other users", self.path.display()),
        }
    }

    /// The command that makes it trustworthy.
    pub fn remedy(&self) -> String {
        let command = if self.owner.is_some() { "chown -h $(id -u)" } else { "chmod go-w" };
        format!("`{command} {}`", self.path.display())
    }
}

#[cfg(unix)]
mod unix {
    use std::collections::VecDeque;
    use std::ffi::OsString;
    use std::fs::{self, Metadata};
    use std::os::unix::fs::MetadataExt;
    use std::path::{Component, Path, PathBuf};

    use super::{Exposed, Trusted};

    const STICKY: u32 = 0o1000;
    const MAX_LINKS: usize = 40;

    impl Trusted {
        /// The current user and root.
        pub fn own() -> Self {
            Self { users: vec![rustix::process::geteuid().as_raw(), 0], ..Self::default() }
        }

        /// Also whoever can write to a folder: they can change the sources in it anyway.
        pub fn with(folder: &Path) -> Self {
            let mut trusted = Self::own();
            if let Ok(metadata) = fs::metadata(folder) {
                trusted.users.push(metadata.uid());
                let is_sticky = metadata.mode() & STICKY != 0;
                trusted.group = (metadata.mode() & 0o020 != 0 && !is_sticky).then(|| metadata.gid());
                trusted.anyone = metadata.mode() & 0o002 != 0 && !is_sticky;
            }
            trusted
        }

        /// Only owners count: whoever can write to the folder can do anything anyway.
        pub fn whoever_can_write(self) -> Self {
            Self { anyone: true, ..self }
        }

        /// Whether a file could have been put into a folder by a user who cannot change what is in it. That is so in a
        /// sticky folder, and for a file that others can write to.
        pub fn is_planted(folder: &Path, file: &Path) -> bool {
            let mut trusted = Self::with(folder);
            let is_sticky = fs::metadata(folder).is_ok_and(|folder| folder.mode() & STICKY != 0);
            if !is_sticky && let Ok(metadata) = fs::symlink_metadata(file) {
                trusted.users.push(metadata.uid());
            }
            trusted.exposed_from(folder, file).is_some()
        }

        /// What another user can change on the way to a path; `None` if there is nothing, or if it does not exist.
        pub fn exposed(&self, path: &Path) -> Option<Exposed> {
            self.exposed_from(Path::new("/"), path)
        }

        /// Like [`Self::exposed`], for a path whose part up to the folder `start` is trusted anyway.
        pub fn exposed_from(&self, start: &Path, path: &Path) -> Option<Exposed> {
            let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let mut current = PathBuf::from("/");
            if let Ok(rest) = path.strip_prefix(start).map(Path::to_owned) {
                start.clone_into(&mut current);
                path = rest;
            }
            // Whoever owns the root of the file system is as powerful as root. In a user namespace, that can be "nobody".
            let top = fs::metadata("/").map_or(0, |metadata| metadata.uid());
            let mut links = 0;
            let mut parts: VecDeque<OsString> = parts_of(&path).collect();
            if let Some(found) = self.exposed_part(&current, &fs::metadata(&current).ok()?, top) {
                return Some(found);
            }
            while let Some(part) = parts.pop_front() {
                if part == ".." {
                    current.pop();
                    continue;
                }
                let next = current.join(&part);
                let metadata = fs::symlink_metadata(&next).ok()?;
                if let Some(found) = self.exposed_part(&next, &metadata, top) {
                    return Some(found);
                }
                if !metadata.is_symlink() {
                    current = next;
                    continue;
                }
                links += 1;
                let target = fs::read_link(&next).ok().filter(|_| links <= MAX_LINKS)?;
                if target.is_absolute() {
                    current = PathBuf::from("/");
                }
                for part in parts_of(&target).collect::<Vec<_>>().into_iter().rev() {
                    parts.push_front(part);
                }
            }
            None
        }

        fn exposed_part(&self, path: &Path, metadata: &Metadata, top: u32) -> Option<Exposed> {
            let uid = metadata.uid();
            let exposed = |owner| Some(Exposed { path: path.to_owned(), owner });
            let is_trusted = self.users.contains(&uid) || (metadata.is_dir() && uid == top) || self.is_of_group(path);
            if !is_trusted {
                return exposed(Some(uid));
            }
            let is_open = self.lets_others_write(metadata);
            let protects_items = metadata.is_dir() && metadata.mode() & STICKY != 0;
            if is_open && !metadata.is_symlink() && !protects_items { exposed(None) } else { None }
        }

        /// Whether a member of the trusted group has put it there: a shared checkout belongs to whoever pulled last.
        fn is_of_group(&self, path: &Path) -> bool {
            let holder = self.group.and_then(|_| fs::metadata(path.parent()?).ok());
            holder.is_some_and(|holder| self.group == Some(holder.gid()) && holder.mode() & (STICKY | 0o020) == 0o020)
        }

        fn lets_others_write(&self, metadata: &Metadata) -> bool {
            let mode = metadata.mode();
            if self.anyone || mode & 0o022 == 0 {
                return false;
            }
            mode & 0o002 != 0
                || (self.group != Some(metadata.gid()) && !is_private_group(metadata.uid(), metadata.gid()))
        }
    }

    fn parts_of(path: &Path) -> impl Iterator<Item = OsString> + '_ {
        path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
    }

    /// Whether a group has one member, the user after whom it is named. Many systems give each user such a group, and
    /// make new files writable for it.
    fn is_private_group(uid: u32, gid: u32) -> bool {
        if uid == gid {
            return true;
        }
        let field = |file: &str, id: u32, fields: usize| {
            let text = crate::base::fs::read_text(file).ok()?;
            let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
            lines.find(|line| line.len() >= fields && line[2] == id.to_string())
        };
        match (field("/etc/passwd", uid, 4), field("/etc/group", gid, 4)) {
            (Some(user), Some(group)) => user[0] == group[0] && (group[3].is_empty() || group[3] == user[0]),
            _ => false,
        }
    }
}

#[cfg(not(unix))]
impl Trusted {
    pub fn own() -> Self {
        Self::default()
    }

    pub fn with(_: &Path) -> Self {
        Self::default()
    }

    pub fn whoever_can_write(self) -> Self {
        self
    }

    pub fn is_planted(_: &Path, _: &Path) -> bool {
        false
    }

    pub fn exposed(&self, _: &Path) -> Option<Exposed> {
        None
    }

    pub fn exposed_from(&self, _: &Path, _: &Path) -> Option<Exposed> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    #[test]
    fn a_shared_checkout_belongs_to_its_group() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let (source, file) = (root.path().join("source"), root.path().join("pyproject.toml"));
        std::fs::create_dir(&source).unwrap();
        std::fs::write(&file, "").unwrap();
        let set = |path: &std::path::Path, uid: u32, gid: u32, mode: u32| {
            chown(path, Some(uid), Some(gid)).unwrap();
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        let check = |expected: Option<Option<u32>>| {
            let exposed = Trusted::with(&source).exposed(&file);
            assert_eq!(exposed.map(|exposed| exposed.owner), expected);
        };
        set(&source, 0, 77, 0o775);
        set(root.path(), 0, 77, 0o775);
        set(&file, 12345, 77, 0o664);
        check(None);
        // Another group.
        set(root.path(), 0, 78, 0o775);
        check(Some(None));
        // Members of the group cannot write to the source.
        set(root.path(), 0, 77, 0o755);
        check(Some(Some(12345)));
        set(&source, 0, 77, 0o755);
        set(root.path(), 0, 77, 0o775);
        check(Some(None));
        // A user's own group, and a file that everybody can write to.
        set(root.path(), 12345, 12345, 0o775);
        set(&source, 12345, 12345, 0o755);
        set(&file, 12345, 12345, 0o664);
        check(None);
        set(&file, 12345, 12345, 0o666);
        check(Some(None));
    }
}
