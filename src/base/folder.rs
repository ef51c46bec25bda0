//! A folder that others may write to, such as one with a remote store. It is opened once, and everything in it is reached
//! through the open folder: a link that somebody plants is not followed, neither to read, nor to write, nor to remove.

use std::io;
use std::path::Path;
use std::time::SystemTime;

/// How the names of temporary files begin.
pub const TEMPORARY: &str = ".rustimport-";

/// A regular file in a folder.
pub struct Item {
    pub name: String,
    pub size: u64,
    pub modified: SystemTime,
}

#[cfg(unix)]
pub struct Folder(rustix::fd::OwnedFd);

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::time::{Duration, UNIX_EPOCH};

    use rustix::fs::{
        AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid, fchmod, fchown, futimens, mkdirat,
        openat, renameat, statat, unlinkat,
    };
    use rustix::io::Errno;

    use super::{Folder, Item, Path, TEMPORARY, io};

    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    impl Folder {
        /// Opens a folder that the user chose; that may be a link.
        pub fn open(path: &Path) -> io::Result<Self> {
            Ok(Self(openat(CWD, path, FOLDER, Mode::empty())?))
        }

        /// Opens a folder in this one.
        pub fn below(&self, name: &str) -> io::Result<Self> {
            match openat(&self.0, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Err(Errno::LOOP | Errno::NOTDIR) if self.is_link(name) => Err(not_followed(name)),
                opened => Ok(Self(opened?)),
            }
        }

        /// The same; it is created if it does not exist.
        pub fn below_or_new(&self, name: &str) -> io::Result<Self> {
            match mkdirat(&self.0, name, Mode::from_raw_mode(0o777)) {
                Err(error) if error != Errno::EXIST => Err(error.into()),
                _ => self.below(name),
            }
        }

        /// The regular files.
        pub fn files(&self) -> io::Result<Vec<Item>> {
            let mut found = Vec::new();
            for item in Dir::read_from(&self.0)? {
                let Ok(name) = item?.file_name().to_str().map(str::to_owned) else { continue };
                if let Some(stat) = self.stat(&name) {
                    let age = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or_default());
                    let size = u64::try_from(stat.st_size).unwrap_or_default();
                    found.push(Item { name, size, modified: UNIX_EPOCH + age });
                }
            }
            Ok(found)
        }

        fn is_link(&self, name: &str) -> bool {
            let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
            stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
        }

        fn stat(&self, name: &str) -> Option<Stat> {
            let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(stat)
        }

        /// The content of a regular file, unless it has more than `limit` bytes.
        pub fn read_at_most(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
            // Opening a named pipe would wait for its writer.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(match openat(&self.0, name, flags, Mode::empty()) {
                Err(Errno::LOOP) => return Err(not_followed(name)),
                opened => opened?,
            });
            if !file.metadata()?.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
            }
            let mut content = Vec::new();
            file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
            if content.len() as u64 > limit {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than expected"));
            }
            Ok(content)
        }

        /// Writes a file in one step. One that was there is replaced, and its permissions are kept.
        pub fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut names = (0..1000).map(|number| format!("{TEMPORARY}{}-{number}", std::process::id()));
            let (temporary, file) = loop {
                let temporary = names.next().ok_or(io::ErrorKind::AlreadyExists)?;
                match openat(&self.0, &temporary, flags, Mode::from_raw_mode(0o666)) {
                    Err(Errno::EXIST) => {}
                    opened => break (temporary, opened?),
                }
            };
            let mut file = File::from(file);
            let mut write = || -> io::Result<()> {
                file.write_all(content)?;
                file.sync_data()?;
                if let Some(stat) = self.stat(name) {
                    fchmod(&file, Mode::from_raw_mode(stat.st_mode))?;
                    // If root replaces another user's file, the new one belongs to that user too.
                    let _ = fchown(&file, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
                }
                Ok(renameat(&self.0, &temporary, &self.0, name)?)
            };
            write().inspect_err(|_| drop(self.remove(&temporary)))
        }

        pub fn remove(&self, name: &str) -> io::Result<()> {
            Ok(unlinkat(&self.0, name, AtFlags::empty())?)
        }

        /// Sets a file's modification time to now. Best effort.
        pub fn touch(&self, name: &str) {
            let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            if let Ok(file) = openat(&self.0, name, flags, Mode::empty()) {
                let _ = futimens(&file, &Timestamps { last_access: now, last_modification: now });
            }
        }
    }

    fn not_followed(name: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is a link, which is not followed"))
    }
}

/// Links need a privilege there.
#[cfg(not(unix))]
pub struct Folder(std::path::PathBuf);

#[cfg(not(unix))]
impl Folder {
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path)?.is_dir().then(|| Self(path.to_owned())).ok_or(io::ErrorKind::NotADirectory.into())
    }

    pub fn below(&self, name: &str) -> io::Result<Self> {
        let path = self.0.join(name);
        let metadata = std::fs::symlink_metadata(&path)?;
        metadata.is_dir().then_some(Self(path)).ok_or(io::ErrorKind::NotADirectory.into())
    }

    pub fn below_or_new(&self, name: &str) -> io::Result<Self> {
        super::fs::create_users_folder(&self.0.join(name))?;
        self.below(name)
    }

    pub fn files(&self) -> io::Result<Vec<Item>> {
        let items = std::fs::read_dir(&self.0)?.flatten().filter_map(|item| {
            let metadata = item.metadata().ok().filter(std::fs::Metadata::is_file)?;
            let name = item.file_name().to_str()?.to_owned();
            Some(Item { name, size: metadata.len(), modified: metadata.modified().ok()? })
        });
        Ok(items.collect())
    }

    pub fn read_at_most(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        super::fs::read_at_most(&self.0.join(name), limit)
    }

    pub fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        super::fs::put_users_file(&self.0.join(name), content)
    }

    pub fn remove(&self, name: &str) -> io::Result<()> {
        super::fs::remove_users_file(&self.0.join(name))
    }

    pub fn touch(&self, name: &str) {
        super::fs::touch(&self.0.join(name));
    }
}
