//! A project's metadata as maturin writes it, and an installation that consists of it: in editable mode, without a
//! library, and without compiling anything.
//!
//! Sources: PEP 660 (editable installs), the wheel specification, PEP 610 (`direct_url.json`).

use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::base::fs;
use crate::base::paths;
use crate::build::wheel;
use crate::projects::installation::{INSTALLER, OURS};

/// A dist-info folder, not installed.
pub struct DistInfo {
    /// Its name, such as `name-1.0.dist-info`.
    pub name: String,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl DistInfo {
    /// The dist-info folder in `folder`, if there is one.
    pub fn in_folder(folder: tempfile::TempDir) -> Option<Self> {
        let mut items = fs::items(folder.path());
        let item = items.find(|item| item.file_name().to_string_lossy().ends_with(".dist-info"))?;
        Some(Self { name: item.file_name().to_string_lossy().into_owned(), path: item.path(), _folder: folder })
    }

    /// The content of one of its files; empty if there is none.
    pub fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.path.join(file)).unwrap_or_default()
    }

    /// Writes a wheel, in a new folder in this one, that puts `root` on `sys.path`. Returns its path; `None` if the
    /// metadata is incomplete.
    pub fn write_wheel(&self, root: &Path) -> io::Result<Option<PathBuf>> {
        let text = fs::read_text(self.path.join("WHEEL"))?;
        let tag = text.lines().find_map(|line| line.strip_prefix("Tag:"));
        let (Some(tag), Some(stem)) = (tag, self.name.strip_suffix(".dist-info")) else { return Ok(None) };
        let path = self.path.with_file_name(format!("{stem}-{}.whl", tag.trim()));
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        let mut record = String::new();
        let mut add = |name: &str, content: &[u8]| {
            archive.start_file(name, options)?;
            record.push_str(&format!("{name},,\n"));
            archive.write_all(content)
        };
        let mut folders = vec![(self.name.clone(), self.path.clone())];
        while let Some((name, folder)) = folders.pop() {
            for item in fs::items(&folder) {
                let (name, path) = (format!("{name}/{}", item.file_name().to_string_lossy()), item.path());
                if path.is_dir() { folders.push((name, path)) } else { add(&name, &fs::read(&path)?)? }
            }
        }
        let name = stem.split('-').next().unwrap_or(stem);
        add(&format!("{name}.pth"), format!("{}\n", root.display()).as_bytes())?;
        archive.start_file(format!("{}/RECORD", self.name), options)?;
        record.push_str(&format!("{}/RECORD,,\n", self.name));
        archive.write_all(record.as_bytes())?;
        let wheel = archive.finish()?.into_inner();
        fs::write(&path, &wheel).map_err(io::Error::other)?;
        Ok(Some(path))
    }
}

/// What a project with this METADATA depends on, without extras.
pub fn requirements(metadata: &[u8]) -> Vec<String> {
    let headers = wheel::headers(metadata);
    let needed = headers.iter().filter_map(|line| line.strip_prefix("Requires-Dist:"));
    needed.map(str::trim).filter(|line| !line.contains("extra ==")).map(str::to_owned).collect()
}

/// Marks the installation in the dist-info folder `installed` as that of `project` in editable mode, as maturin does.
/// `is_ours`: it was installed without a library, for one of ours.
pub fn mark_as_editable(installed: &Path, project: &Path, is_ours: bool) -> io::Result<()> {
    let url = serde_json::to_string(&paths::url_of(project))?;
    let text = format!("{{\"dir_info\": {{\"editable\": true}}, \"url\": {url}}}");
    if is_ours {
        fs::write_users_file(&installed.join(INSTALLER), format!("{OURS}\n").as_bytes())?;
    }
    fs::write_users_file(&installed.join("direct_url.json"), text.as_bytes())?;
    let record = installed.join("RECORD");
    let name = installed.file_name().unwrap_or_default().to_string_lossy();
    let files = [INSTALLER, "direct_url.json"].map(|file| format!("{name}/{file}"));
    let lines = fs::read_text(&record)?;
    let others = lines.lines().filter(|line| !files.iter().any(|file| line.starts_with(file)));
    let lines = others.map(|line| format!("{line}\n")).chain(files.iter().map(|file| format!("{file},,\n")));
    fs::write_users_file(&record, lines.collect::<String>().as_bytes())
}
