//! All file system operations that write, and reads of files that may not be regular files. Files in the cache are
//! written to a temporary file next to their place and then renamed, and only if their content changed. What the files
//! mean is up to the callers.

use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::base::error::{Error, Result};
use crate::base::text::hex;

/// The size and times of a file, to detect changes without reading it. Times are in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Stat {
    pub size: u64,
    pub mtime: i64,
    pub ctime: i64,
}

impl Stat {
    /// The stat of the file at `path`, following links; `None` if there is none.
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::from_metadata(&metadata))
    }

    fn from_metadata(metadata: &fs::Metadata) -> Self {
        let mtime = metadata.modified().map_or(0, nanoseconds);
        Self { size: metadata.len(), mtime, ctime: change_time(metadata) }
    }

    /// Whether a later edit could leave this stat unchanged. This is so if the file changed within the file system's
    /// granularity before `now`, or after it: then an equal stat proves nothing.
    pub fn is_unsettled(&self, now: i64) -> bool {
        const SECOND: i64 = 1_000_000_000;
        let newest = self.mtime.max(self.ctime);
        // A time in whole seconds comes from a file system that stores no fractions (FAT: two seconds).
        let granularity = if newest % SECOND == 0 { 2 * SECOND + SECOND / 10 } else { SECOND / 50 };
        newest.saturating_add(granularity) > now
    }
}

/// A path and the stat that it had before it was read. The stat is `None` if comparing it later would prove nothing.
pub type Watched = (PathBuf, Option<Stat>);

/// Takes the stat of a file. Call this before you read the file: if the stat is equal later, the file has not changed
/// since.
pub fn watch(path: &Path) -> Watched {
    let now = nanoseconds(SystemTime::now());
    (path.to_owned(), Stat::of(path).filter(|stat| !stat.is_unsettled(now)))
}

#[cfg(unix)]
fn change_time(metadata: &fs::Metadata) -> i64 {
    use std::os::unix::fs::MetadataExt;
    metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn change_time(metadata: &fs::Metadata) -> i64 {
    // On Windows, Python's `st_ctime_ns` is the time of creation.
    metadata.created().map_or(0, nanoseconds)
}

/// Nanoseconds since 1970, negative before.
pub fn nanoseconds(time: SystemTime) -> i64 {
    let clamp = |n: u128| i64::try_from(n).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => clamp(after.as_nanos()),
        Err(before) => -clamp(before.duration().as_nanos()),
    }
}

/// SHA-256 of a file's content in hexadecimal, `None` if it cannot be read.
pub fn hash_file(path: &Path) -> Option<String> {
    let mut file = open(path).ok()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break Some(hex(&hasher.finalize())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break None,
        }
    }
}

/// Opens a regular file for reading. Opening a named pipe would block until another process opens it for writing.
pub fn open(path: &Path) -> io::Result<File> {
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    if !fs::metadata(path)?.is_file() {
        return Err(no_file());
    }
    let mut options = File::options();
    // It may have been replaced since.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.read(true).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_file()) }
}

/// The content of a regular file.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path.as_ref())?.read_to_end(&mut content)?;
    Ok(content)
}

/// Whether a regular file has this content. Reads no further than the first difference.
pub fn has_content(path: &Path, content: &[u8]) -> bool {
    let Ok(mut file) = open(path) else { return false };
    if file.metadata().is_ok_and(|metadata| metadata.len() != content.len() as u64) {
        return false;
    }
    let mut chunk = vec![0; content.len().min(1 << 16)];
    let is_equal = |expected: &[u8]| {
        let chunk = &mut chunk[..expected.len()];
        file.read_exact(chunk).is_ok() && chunk == expected
    };
    content.chunks(1 << 16).all(is_equal)
}

/// The content of a regular file, unless it has more than `limit` bytes.
pub fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than expected"));
    }
    Ok(content)
}

/// The content of a regular file as text.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// A private temporary folder, which is removed when it is dropped.
pub fn temporary_home(prefix: &str) -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700));
    builder.prefix(prefix).tempdir()
}

/// A temporary file with a content, which is removed when it is dropped.
pub fn temporary_file(content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(content)?;
    Ok(file)
}

/// SHA-256 in hexadecimal.
pub fn hash_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Writes one of the user's files. A link is followed, and the file keeps its permissions. The content is written to a
/// temporary file in the same folder, which is then renamed.
pub fn write_users_file(path: &Path, content: &[u8]) -> io::Result<()> {
    write_users_file_with(path, |file| file.write_all(content))
}

/// Like [`write_users_file`], for content that is too long to keep in memory.
pub fn write_users_file_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    replace_users_file(&fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()), write)
}

fn replace_users_file(target: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; a new file gets the permissions that the user's umask allows.
    #[cfg(unix)]
    builder.permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    let file = written_file(&builder, folder, write)?;
    if let Ok(metadata) = fs::metadata(target) {
        file.as_file().set_permissions(metadata.permissions())?;
        // If root replaces another user's file, the new file belongs to that user too.
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let _ = std::os::unix::fs::fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()));
        }
    }
    put_in_place(file, target)
}

/// A temporary file in a folder, which has its name only once it is written: a process that is killed leaves nothing.
#[cfg(target_os = "linux")]
fn written_file(
    builder: &tempfile::Builder,
    folder: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<tempfile::NamedTempFile> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    // Not every file system has files without a name.
    let Ok(unnamed) = open(folder, flags, Mode::from_raw_mode(0o666)) else {
        return named_file(builder, folder, write);
    };
    let mut file = File::from(unnamed);
    write(&mut file)?;
    file.sync_data()?;
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |path: &Path| {
        linkat(CWD, &own, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
        file.try_clone()
    };
    builder.make_in(folder, link).or_else(|_| {
        let mut written = file.try_clone()?;
        io::Seek::rewind(&mut written)?;
        named_file(builder, folder, |named| io::copy(&mut written, named).map(drop))
    })
}

#[cfg(not(target_os = "linux"))]
fn written_file(
    builder: &tempfile::Builder,
    folder: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<tempfile::NamedTempFile> {
    named_file(builder, folder, write)
}

fn named_file(
    builder: &tempfile::Builder,
    folder: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<tempfile::NamedTempFile> {
    let mut file = builder.tempfile_in(folder)?;
    write(file.as_file_mut())?;
    file.as_file().sync_data()?;
    Ok(file)
}

#[cfg(not(windows))]
fn put_in_place(file: tempfile::NamedTempFile, target: &Path) -> io::Result<()> {
    file.persist(target)?;
    Ok(())
}

/// A library that is loaded cannot be replaced, but it can be renamed. It is removed when another file is put in this
/// place, and it is no longer loaded.
#[cfg(windows)]
fn put_in_place(file: tempfile::NamedTempFile, target: &Path) -> io::Result<()> {
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = |number: u32| target.with_file_name(format!(".rustimport-{name}.{number}.old"));
    let taken = (0..1000).map(aside).take_while(|path| path.exists());
    for path in taken.collect::<Vec<_>>() {
        remove(&path);
    }
    let Err(failed) = file.persist(target) else { return Ok(()) };
    if failed.error.kind() != io::ErrorKind::PermissionDenied {
        return Err(failed.error);
    }
    let free = (0..1000).map(aside).find(|path| !path.exists()).unwrap_or_default();
    fs::rename(target, free)?;
    failed.file.persist(target)?;
    Ok(())
}

/// Like [`write_users_file`], but a link is replaced, not followed.
pub fn put_users_file(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_users_file(path, |file| file.write_all(content))
}

/// Removes one of the user's files.
pub fn remove_users_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Creates one of the user's folders. Fails if it exists.
pub fn create_new_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Creates one of the user's folders, and missing parent folders.
pub fn create_users_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Writes a new file; fails if it exists. A file that cannot be written completely is removed.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content).inspect_err(|_| remove(path))
}

/// Removes a file, or a folder with its content. Links are removed, not followed.
pub fn remove_tree(path: &Path) -> Result<()> {
    let done = if is_folder(path) { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::cache_io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// The size in bytes of a file, or of a folder with its content. A file with several hard links counts once.
pub fn size(path: &Path) -> u64 {
    fn add(path: &Path, seen: &mut std::collections::HashSet<u64>) -> u64 {
        let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            if !metadata.is_dir() && metadata.nlink() > 1 && !seen.insert(metadata.ino()) {
                return 0;
            }
        }
        let below = fs::read_dir(path).into_iter().flatten().flatten().filter(|_| metadata.is_dir());
        metadata.len() + below.map(|item| add(&item.path(), seen)).sum::<u64>()
    }
    add(path, &mut std::collections::HashSet::new())
}

/// Creates a folder and missing parent folders, accessible to this user only.
pub fn create_private_folder(path: &Path) -> Result<()> {
    check_maker(path)?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Error::cache_io("create the folder", path, &error))
}

/// Whether only this user or root can have written a file.
#[cfg(unix)]
pub fn is_private(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    [me, 0].contains(&metadata.uid()) && metadata.mode() & 0o022 == 0
}

#[cfg(not(unix))]
pub fn is_private(_: &fs::Metadata) -> bool {
    true
}

/// Whether only this user or root can read a file.
#[cfg(unix)]
pub fn is_secret(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    is_private(metadata) && metadata.mode().trailing_zeros() >= 6
}

#[cfg(not(unix))]
pub fn is_secret(_: &fs::Metadata) -> bool {
    true
}

/// Prevents root from creating folders in another user's home: that user could neither use nor remove them.
#[cfg(unix)]
fn check_maker(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    if path.exists() || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let above = path.ancestors().skip(1).find_map(|folder| Some((folder, fs::metadata(folder).ok()?.uid())));
    match above {
        Some((folder, owner @ 1..)) => Err(Error::cache(
            path,
            format!(
                "root would own {}, in {}, which is another user's (uid {owner})",
                path.display(),
                folder.display()
            ),
            "build as that user, or set RUSTIMPORT_CACHE_DIR or HOME (`sudo -H`) to a folder that root owns",
        )),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_maker(_: &Path) -> Result<()> {
    Ok(())
}

/// Removes all permissions of other users.
#[cfg(unix)]
pub fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Makes a folder and its content readable for all users and writable for its owner only. Permissions that are right
/// already are not set again.
#[cfg(unix)]
pub fn make_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode() & 0o777;
    let everybody = if metadata.is_dir() || mode & 0o100 != 0 { 0o055 } else { 0o044 };
    if mode != (mode & 0o700) | everybody {
        fs::set_permissions(path, fs::Permissions::from_mode((mode & 0o700) | everybody))?;
    }
    let inside = if metadata.is_dir() { Some(fs::read_dir(path)?) } else { None };
    inside.into_iter().flatten().try_for_each(|item| make_readable(&item?.path()))
}

/// Whether this user can write in a folder, or create it. `true` where only an attempt shows it.
pub fn is_writable(folder: &Path) -> bool {
    #[cfg(unix)]
    if let Some(existing) = folder.ancestors().find(|folder| folder.exists()) {
        return rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_ok();
    }
    let _ = folder;
    true
}

/// Does nothing: on Windows, folders inherit the permissions of their parent.
#[cfg(not(unix))]
pub fn make_readable(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Replaces a file in the cache in one step, unless it has that content already. Returns whether it was written.
pub fn write(path: &Path, content: &[u8]) -> Result<bool> {
    if has_content(path, content) {
        return Ok(false);
    }
    put(path, content).map_err(|error| Error::cache_io("write", path, &error))?;
    Ok(true)
}

/// Like [`write`], for a program. Returns whether it can be run: not on a disk that is mounted without that.
#[cfg(unix)]
pub fn write_program(path: &Path, content: &str) -> Result<bool> {
    use rustix::fs::{Access, access};
    if write(path, content.as_bytes())? || access(path, Access::EXEC_OK).is_err() {
        make_private(path).map_err(|error| Error::cache_io("write", path, &error))?;
    }
    Ok(access(path, Access::EXEC_OK).is_ok())
}

#[cfg(not(unix))]
pub fn write_program(_: &Path, _: &str) -> Result<bool> {
    Ok(false)
}

fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    replace(file, path)
}

/// Like [`put`], and also waits for the disk. For files that are loaded without being verified: they must not be empty
/// after a power failure.
fn put_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_data()?;
    replace(file, path)
}

/// Renames a file to its place in the cache. A folder at that path is removed, since only files belong there.
fn replace(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    let Err(failed) = file.persist(path) else { return Ok(()) };
    if !is_folder(path) {
        return Err(failed.error);
    }
    fs::remove_dir_all(path)?;
    failed.file.persist(path)?;
    Ok(())
}

/// Writes a library to a path that was never used before, in a new folder below `folder`. The path of a loaded library
/// must never be used for another one. Returns the library's path.
pub fn publish(folder: &Path, name: &str, content: &[u8]) -> Result<PathBuf> {
    // The number is higher than all that exist, even if the clock was set back; the clock keeps numbers of removed
    // folders from being used again.
    let clock = u64::try_from(nanoseconds(SystemTime::now()) / 1_000_000).unwrap_or_default();
    let newest = numbered_folders(folder).last().map_or(0, |(number, _)| number + 1);
    let mut number = clock.max(newest);
    let home = loop {
        let home = folder.join(format!("{number:x}"));
        match fs::create_dir(&home) {
            Ok(()) => break home,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::cache_io("create the folder", &home, &error)),
        }
    };
    let path = home.join(name);
    put_durably(&path, content).map_err(|error| {
        let _ = fs::remove_dir_all(&home);
        Error::cache_io("write", &path, &error)
    })?;
    Ok(path)
}

/// Removes the published folders below `folder` except the newest `keep`. Best effort: Windows does not remove a
/// library that is loaded.
pub fn remove_old_artifacts(folder: &Path, keep: usize) {
    for (_, path) in numbered_folders(folder).iter().rev().skip(keep) {
        let _ = fs::remove_dir_all(path);
    }
}

/// The published folders, the oldest first.
fn numbered_folders(folder: &Path) -> Vec<(u64, PathBuf)> {
    let numbered = items(folder).filter_map(|item| {
        let number = u64::from_str_radix(item.file_name().to_str()?, 16).ok()?;
        item.file_type().ok()?.is_dir().then(|| (number, item.path()))
    });
    let mut numbered: Vec<_> = numbered.collect();
    numbered.sort_unstable();
    numbered
}

/// Creates a folder for the output of one build, which is removed when dropped. Also removes folders with the same
/// prefix, which earlier builds left when they were killed.
pub fn temporary_folder(parent: &Path, prefix: &str) -> Result<tempfile::TempDir> {
    for item in items(parent) {
        if item.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_dir_all(item.path());
        }
    }
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(parent)
        .map_err(|error| Error::cache_io("create a folder in", parent, &error))
}

/// Sets a file's modification time to 1970, so that cargo sees every source as newer.
pub fn set_epoch(path: &Path) -> io::Result<()> {
    File::options().write(true).open(path)?.set_times(FileTimes::new().set_modified(UNIX_EPOCH))
}

/// Sets a file's modification time to now, to record that it was used ([`by_use`]). Best effort.
pub fn touch(path: &Path) {
    let now = FileTimes::new().set_modified(SystemTime::now());
    let _ = File::options().write(true).open(path).and_then(|file| file.set_times(now));
}

/// Removes a file, or a link to a folder. Best effort.
pub fn remove(path: &Path) {
    if fs::remove_file(path).is_err() && cfg!(windows) && fs::read_link(path).is_ok() {
        let _ = fs::remove_dir(path);
    }
}

/// Removes a folder if it is empty.
pub fn remove_empty(path: &Path) {
    let _ = fs::remove_dir(path);
}

/// Whether the path is a folder and not a link to one.
pub fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Whether two paths lead to files with the same content. They are usually hard links to one file, which is checked
/// first.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let (Ok(first), Ok(second)) = (fs::metadata(one), fs::metadata(other)) else { return false };
    is_one_file(&first, &second)
        || (first.is_file() && first.len() == second.len() && read(one).is_ok_and(|one| has_content(other, &one)))
}

#[cfg(unix)]
fn is_one_file(first: &fs::Metadata, second: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (first.dev(), first.ino()) == (second.dev(), second.ino())
}

#[cfg(not(unix))]
fn is_one_file(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    false
}

/// The entries of a folder in the cache. A link to a folder has none: it may lead out of the cache.
pub fn items(folder: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    let listing = is_folder(folder).then(|| fs::read_dir(folder).ok()).flatten();
    listing.into_iter().flatten().flatten()
}

/// The files in a folder with their sizes, the least recently used first.
pub fn by_use(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut files: Vec<_> = items(folder)
        .filter_map(|item| {
            let metadata = item.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, item.path(), metadata.len()))
        })
        .collect();
    files.sort();
    files.into_iter().map(|(_, path, size)| (path, size)).collect()
}

/// Copies a file, or a folder with its content, and keeps modification times.
pub fn duplicate(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::metadata(from)?;
    let folder = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    if metadata.is_dir() {
        // In a temporary folder first, so that an interrupted copy leaves nothing at `to`.
        let temporary = tempfile::Builder::new().prefix(".new").tempdir_in(folder)?;
        for item in fs::read_dir(from)?.flatten() {
            duplicate(&item.path(), &temporary.path().join(item.file_name()))?;
        }
        let _ = fs::remove_dir_all(to);
        return fs::rename(temporary.keep(), to);
    }
    let _ = fs::remove_file(to);
    fs::copy(from, to)?;
    let times = FileTimes::new().set_modified(metadata.modified()?);
    // A read-only file is opened for reading: setting times does not need write access.
    File::options().write(true).open(to).or_else(|_| File::open(to))?.set_times(times)
}

/// Fills the folder `mirror` with links to the entries of the folder `real`, except those that `is_left_out` names.
/// Outdated links are removed; entries of `mirror` that are not links are kept.
pub fn mirror(real: &Path, mirror: &Path, is_left_out: &dyn Fn(&std::ffi::OsStr) -> bool) -> Result<()> {
    // The mirror may be a link to a folder, if it was made with `link` before.
    if fs::symlink_metadata(mirror).is_ok_and(|metadata| metadata.is_symlink()) {
        remove(mirror);
    }
    create_private_folder(mirror)?;
    #[cfg(windows)]
    forget_copies(real, mirror, is_left_out)?;
    for item in fs::read_dir(mirror).into_iter().flatten().flatten() {
        let is_link = item.file_type().is_ok_and(|kind| kind.is_symlink());
        if is_link && (is_left_out(&item.file_name()) || !real.join(item.file_name()).exists()) {
            remove(&item.path());
        }
    }
    for item in fs::read_dir(real).into_iter().flatten().flatten() {
        if !is_left_out(&item.file_name()) {
            link(&item.path(), &mirror.join(item.file_name()))?;
        }
    }
    Ok(())
}

/// Creates a symbolic link at `path` to `real`, unless it exists.
#[cfg(unix)]
pub fn link(real: &Path, path: &Path) -> Result<()> {
    if fs::read_link(path).is_ok_and(|target| target == real) {
        return Ok(());
    }
    remove_tree(path)?;
    let result = std::os::unix::fs::symlink(real, path);
    result.map_err(|error| Error::cache_io("create the link", path, &error))
}

/// Removes the copies of files that no longer exist, and records those that are there now.
#[cfg(windows)]
fn forget_copies(real: &Path, mirror: &Path, is_left_out: &dyn Fn(&std::ffi::OsStr) -> bool) -> Result<()> {
    let record = mirror.join(".copied");
    let files = items(real).filter(|item| item.path().is_file() && !is_left_out(&item.file_name()));
    let names: Vec<String> = files.map(|item| item.file_name().to_string_lossy().into_owned()).collect();
    for gone in read_text(&record).unwrap_or_default().lines().filter(|name| !names.iter().any(|now| now == name)) {
        remove(&mirror.join(gone));
    }
    write(&record, names.join("\n").as_bytes()).map(drop)
}

/// Symbolic links need a privilege on Windows. So a folder gets a junction, and a file is copied if its content differs.
#[cfg(windows)]
pub fn link(real: &Path, path: &Path) -> Result<()> {
    if !real.is_dir() {
        let content = read(real).map_err(|error| Error::cache_io("read", real, &error))?;
        return write(path, &content).map(drop);
    }
    if junction::get_target(path).is_ok_and(|target| target == real) {
        return Ok(());
    }
    // Without junctions, on FAT for example, it was copied before.
    if !path.is_dir() || fs::read_link(path).is_ok() {
        remove_tree(path)?;
        if junction::create(real, path).is_ok() {
            return Ok(());
        }
    }
    // A failed junction leaves an empty folder.
    copy_tree(real, path).map_err(|error| Error::cache_io("copy to", path, &error))
}

/// Makes `copy` a copy of a folder, without what is not in it any more.
#[cfg(windows)]
fn copy_tree(real: &Path, copy: &Path) -> io::Result<()> {
    fs::create_dir_all(copy)?;
    for item in items(copy).filter(|item| !real.join(item.file_name()).exists()) {
        let path = item.path();
        if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
    }
    for item in items(real) {
        let (from, to) = (item.path(), copy.join(item.file_name()));
        if from.is_dir() {
            copy_tree(&from, &to)?;
        } else if read(&from)? != read(&to).unwrap_or_default() || !to.exists() {
            put(&to, &read(&from)?)?;
        }
    }
    Ok(())
}

/// Makes a library available at a second path: as a hard link if the file system supports it, otherwise as a copy. A
/// hard link is safe since compilers replace libraries and do not write into them. Other files are always copied.
pub fn hard_link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    const LIBRARIES: [&str; 5] = ["rlib", "rmeta", "so", "dylib", "dll"];
    let is_library = from.extension().is_some_and(|extension| LIBRARIES.iter().any(|known| extension == *known));
    fs::create_dir_all(to.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    let _ = fs::remove_file(to);
    if is_library && fs::hard_link(from, to).is_ok() { Ok(()) } else { duplicate(from, to) }
}

/// The current time of the file system's clock, in nanoseconds. It is the modification time of a new file at `path`.
pub fn tick(path: &Path) -> Result<i64> {
    let failed = |error: io::Error| Error::cache_io("write", path, &error);
    remove_tree(path)?;
    let file = File::create_new(path).map_err(failed)?;
    file.set_len(1).map_err(failed)?;
    Ok(Stat::from_metadata(&file.metadata().map_err(failed)?).mtime)
}

/// Overwrites a file in place: another process that reads it at the same time may find it empty.
pub fn overwrite(path: &Path, content: &str) -> io::Result<()> {
    fs::write(path, content)
}

/// Opens a file for locking, and creates it if needed.
pub fn open_lock(path: &Path) -> Result<File> {
    check_maker(path)?;
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| Error::cache_io("open the lock", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_stats_are_unsettled() {
        const MS: i64 = 1_000_000;
        let check = |mtime: i64, ctime: i64, now: i64, unsettled: bool| {
            let stat = Stat { size: 1, mtime, ctime };
            assert_eq!(stat.is_unsettled(now), unsettled, "{mtime} {ctime} {now}");
        };
        let base = 1_700_000_000_123 * MS;
        check(base, base, base + 5 * MS, true);
        check(base, base, base + 50 * MS, false);
        check(0, base, base + 5 * MS, true);
        check(base + 3_600_000 * MS, base, base + 50 * MS, true);
        let whole = 1_700_000_000_000 * MS;
        check(whole, whole, whole + 1_900 * MS, true);
        check(whole, whole, whole + 2_200 * MS, false);
    }

    #[test]
    fn published_paths_are_not_reused() {
        let folder = tempfile::tempdir().unwrap();
        let first = publish(folder.path(), "m.so", b"one").unwrap();
        let second = publish(folder.path(), "m.so", b"two").unwrap();
        // As if the clock had been set back after this one was published.
        fs::create_dir(folder.path().join("7fffffffffff")).unwrap();
        let third = publish(folder.path(), "m.so", b"three").unwrap();
        assert!(third.starts_with(folder.path().join("800000000000")));
        fs::remove_dir(folder.path().join("7fffffffffff")).unwrap();
        assert!(first != second && second != third);
        remove_old_artifacts(folder.path(), 2);
        assert_eq!(fs::read(second).unwrap(), b"two");
        assert!(!first.exists() && third.exists());
    }
}
