//! Reads what maturin installed in an environment: a dist-info folder, and the `.pth` files next to it. It does not
//! check whether the installed library is fresh.
//!
//! Sources: PEP 610 (`direct_url.json`), PEP 376 and the wheel specification (`RECORD`, `WHEEL`), and the `site`
//! module's documentation (`.pth`).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::base::fs;
use crate::base::paths::{self, normal};
use crate::build::wheel::{self, is_native};
use crate::env::settings::PYPROJECT;

/// A distribution that maturin installed from a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    pub dist_info: PathBuf,
    /// The name of the distribution, not normalised.
    pub name: String,
    /// The folder it was installed from.
    pub project: PathBuf,
    /// Whether the project was installed in editable mode.
    pub is_editable: bool,
    /// The installed files that RECORD lists, without those in the dist-info folder.
    pub files: Vec<PathBuf>,
    /// The folders that its `.pth` file puts on `sys.path`. They may be outside the project's own folder.
    pub roots: Vec<PathBuf>,
}

/// The file that names the installer (PEP 376), and our own name in it.
pub const INSTALLER: &str = "INSTALLER";
pub const OURS: &str = "rustimport";

#[derive(Deserialize)]
struct DirectUrl {
    url: String,
    dir_info: Option<DirInfo>,
}

#[derive(Deserialize)]
struct DirInfo {
    #[serde(default)]
    editable: bool,
}

impl Installation {
    /// Reads a dist-info folder. `None` if maturin did not install it, or not from a folder.
    pub fn read(dist_info: &Path) -> Option<Self> {
        let text = fs::read(dist_info.join("direct_url.json")).ok()?;
        let direct: DirectUrl = serde_json::from_slice(&text).ok()?;
        let wheel = fs::read_text(dist_info.join("WHEEL")).ok()?;
        let generator = Generator::of(&wheel)?;
        // Distributions from an archive have no `dir_info`.
        let is_editable = direct.dir_info?.editable;
        let project = paths::folder_of_url(&direct.url)?;
        if generator == Generator::Poetry && !(is_editable && uses_maturin(&project)) {
            return None;
        }
        let site = dist_info.parent()?;
        let record = fs::read_text(dist_info.join("RECORD")).ok();
        let listed = record.as_deref().map(recorded).unwrap_or_default();
        let files: Vec<PathBuf> = listed.iter().map(|file| normal(&site.join(file))).collect();
        let mut paths: Vec<PathBuf> = files.iter().filter(|file| is_pth(file)).cloned().collect();
        if record.is_none() {
            paths.extend(std::fs::read_dir(site).into_iter().flatten().flatten().map(|item| item.path()));
        }
        let lines = paths.iter().filter(|path| is_pth(path)).flat_map(|path| lines_of_pth(path));
        // maturin resolves symbolic links in the paths that it writes. Without a RECORD, the file may be another
        // distribution's.
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_inside = |root: &Path| root.starts_with(&project) || real(root).starts_with(real(&project));
        let roots = lines.filter(|root| root.is_absolute() && (record.is_some() || is_inside(root))).collect();
        let stem = dist_info.file_stem()?.to_str()?;
        Some(Self {
            name: stem.rsplit_once('-').map_or(stem, |(name, _)| name).to_owned(),
            is_editable,
            files: files.into_iter().filter(|file| !file.starts_with(dist_info) && !is_pth(file)).collect(),
            dist_info: dist_info.to_owned(),
            project,
            roots,
        })
    }

    /// The files that determine whether a dist-info folder belongs to a maturin project, and to which: those that
    /// exist, and the next one that an installer would write. An installer writes them one after the other and may
    /// rewrite each, which does not change the mtime of the site folder.
    pub fn decisive_files(dist_info: &Path) -> Vec<PathBuf> {
        let wheel = dist_info.join("WHEEL");
        let direct_url = dist_info.join("direct_url.json");
        match fs::read_text(&wheel) {
            Ok(text) if text.contains("Generator:") => {
                let is_known = Generator::of(&text).is_some();
                let mut files: Vec<PathBuf> = is_known.then_some(direct_url.clone()).into_iter().collect();
                if is_known && direct_url.exists() {
                    let record = dist_info.join("RECORD");
                    let listed = recorded(&fs::read_text(&record).unwrap_or_default());
                    let site = dist_info.parent().unwrap_or(dist_info);
                    files.push(record);
                    files.extend(listed.iter().map(|file| normal(&site.join(file))).filter(|file| is_pth(file)));
                }
                files
            }
            _ => vec![wheel],
        }
    }

    /// A placeholder for a project that has yet to be installed in a site folder.
    pub fn missing(site: &Path, project: &Path) -> Self {
        Self {
            dist_info: site.join("missing.dist-info"),
            name: String::new(),
            project: project.to_owned(),
            is_editable: false,
            files: Vec::new(),
            roots: Vec::new(),
        }
    }

    /// The current installation of a project. Another version may have been installed since `dist_info` was found.
    pub fn now(dist_info: &Path, project: &Path) -> Option<Self> {
        let others = || {
            let listing = std::fs::read_dir(dist_info.parent()?).ok()?.flatten().map(|item| item.path());
            let mut found = listing.filter(|path| path.extension().is_some_and(|kind| kind == "dist-info"));
            found.find_map(|path| Self::read(&path).filter(|found| found.project == project))
        };
        Self::read(dist_info).filter(|found| found.project == project).or_else(others)
    }

    /// Whether its metadata have the same version, dependencies and programs as a METADATA and an `entry_points.txt`.
    pub fn says(&self, metadata: &[u8], programs: &[u8]) -> bool {
        let own = |file: &str| fs::read(self.dist_info.join(file)).unwrap_or_default();
        wheel::headers(metadata) == wheel::headers(&own("METADATA")) && programs == own("entry_points.txt")
    }

    /// Whether rustimport has installed it, from what a store had. Then its time does not say that anything was built
    /// before.
    pub fn is_ours(&self) -> bool {
        fs::read_text(self.dist_info.join(INSTALLER)).is_ok_and(|name| name.trim() == OURS)
    }

    /// Adds a file in the site folder to RECORD, so that `pip uninstall` removes it as well.
    pub fn list(&self, path: &Path) -> std::io::Result<()> {
        let record = self.dist_info.join("RECORD");
        let member = path.strip_prefix(self.site()).unwrap_or(path).to_string_lossy().replace('\\', "/");
        let text = fs::read_text(&record)?;
        if recorded(&text).contains(&member) {
            return Ok(());
        }
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        fs::write_users_file(&record, format!("{text}{end}{member},,\n").as_bytes())
    }

    /// The site folder that contains the dist-info folder.
    pub fn site(&self) -> &Path {
        self.dist_info.parent().unwrap_or(Path::new("/"))
    }

    /// The virtual or conda environment that it is installed in; `None` outside of one.
    pub fn environment(&self) -> Option<Environment> {
        Environment::around(&self.dist_info)
    }

    /// Where a file of the wheel is installed: in the project, if its `.pth` file names a folder, else in the site
    /// folder.
    pub fn place_of(&self, member: &str) -> PathBuf {
        let folder = self.roots.first().map_or_else(|| self.site(), PathBuf::as_path);
        // With the system's own separators, since Python compares the path's text.
        folder.components().chain(Path::new(member).components()).collect()
    }

    /// Its installed native libraries and programs. In the project, only the folders in which Python searches for
    /// `package` are searched.
    pub fn natives(&self, package: &str) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> =
            self.files.iter().filter(|file| is_native(file) || is_program(file)).cloned().collect();
        for root in &self.roots {
            add_natives(root, 1, &mut found, &|name| name.split('.').next() == Some(package));
            add_natives(&root.join(package), DEPTH, &mut found, &|_| true);
        }
        found
    }
}

/// An environment that maturin can install into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Environment {
    /// Created by `venv`, `virtualenv` or `uv`.
    Virtual(PathBuf),
    Conda(PathBuf),
}

impl Environment {
    /// The environment that contains a path.
    pub fn around(path: &Path) -> Option<Self> {
        path.ancestors().find_map(|folder| {
            if folder.join("pyvenv.cfg").is_file() {
                Some(Self::Virtual(folder.to_owned()))
            } else if folder.join("conda-meta").is_dir() {
                Some(Self::Conda(folder.to_owned()))
            } else {
                None
            }
        })
    }

    pub fn prefix(&self) -> &Path {
        match self {
            Self::Virtual(prefix) | Self::Conda(prefix) => prefix,
        }
    }

    /// Whether `uv` created it.
    pub fn is_uv(&self) -> bool {
        let config = fs::read_text(self.prefix().join("pyvenv.cfg")).unwrap_or_default();
        config.lines().any(|line| line.split('=').next().is_some_and(|key| key.trim() == "uv"))
    }
}

/// The maximum depth of the search for libraries in packages.
const DEPTH: u32 = 8;

fn add_natives(folder: &Path, depth: u32, found: &mut Vec<PathBuf>, takes: &dyn Fn(&str) -> bool) {
    for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = item.path();
        if path.is_dir() {
            if depth > 1 {
                add_natives(&path, depth - 1, found, takes);
            }
        } else if is_native(&path) && takes(&item.file_name().to_string_lossy()) {
            found.push(path);
        }
    }
}

/// What wrote a dist-info folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generator {
    Maturin,
    /// It installs a project without calling its build backend, so that nothing is built.
    Poetry,
}

impl Generator {
    /// From the text of a WHEEL file.
    fn of(wheel: &str) -> Option<Self> {
        let named = wheel.lines().find(|line| line.starts_with("Generator:"))?;
        [("maturin", Self::Maturin), ("poetry", Self::Poetry)]
            .into_iter()
            .find_map(|(name, generator)| named.contains(name).then_some(generator))
    }
}

/// A project's pyproject.toml; empty if it cannot be read.
pub(crate) fn pyproject_of(project: &Path) -> toml::Table {
    fs::read_text(project.join(PYPROJECT)).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Whether maturin is the build backend of a project.
pub(crate) fn uses_maturin(project: &Path) -> bool {
    let pyproject = pyproject_of(project);
    let backend = pyproject.get("build-system").and_then(|table| table.get("build-backend")?.as_str());
    backend == Some("maturin")
}

fn is_program(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("bin") || folder.ends_with("Scripts"))
}

fn is_pth(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "pth")
}

/// The folders that a `.pth` file names, without the lines that run code.
fn lines_of_pth(path: &Path) -> Vec<PathBuf> {
    let text = fs::read_text(path).unwrap_or_default();
    let is_code = |line: &&str| line.starts_with("import ") || line.starts_with("import\t") || line.starts_with('#');
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty());
    lines.filter(|line| !is_code(line)).map(PathBuf::from).collect()
}

/// The paths in a RECORD, a table of comma-separated values.
pub(crate) fn recorded(text: &str) -> Vec<String> {
    let path = |line: &str| match line.strip_prefix('"') {
        Some(quoted) => {
            let mut path = String::new();
            let mut parts = quoted.split('"').peekable();
            while let Some(part) = parts.next() {
                path.push_str(part);
                // Two quotes are an escaped quote; a single one ends the field.
                match parts.peek() {
                    Some(&"") => {
                        path.push('"');
                        parts.next();
                    }
                    _ => break,
                }
            }
            path
        }
        None => line.split(',').next().unwrap_or_default().to_owned(),
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let check = |line: &str, expected: &str| assert_eq!(recorded(line), [expected], "{line}");
        check("a/b.py,sha256=x,12", "a/b.py");
        check("\"a,b.py\",sha256=x,12", "a,b.py");
        check("\"a\"\"b.py\",,", "a\"b.py");
        check("a.py", "a.py");
        check("\"unclosed", "unclosed");
    }

    #[test]
    fn installations_by_maturin() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path();
        let dist_info = site.join("my_project-1.0.dist-info");
        std::fs::create_dir(&dist_info).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dist_info.join(name), text).unwrap();
        let check = |expected: bool| assert_eq!(Installation::read(&dist_info).is_some(), expected);
        check(false);
        let awaits = |names: &[&str]| {
            let expected: Vec<PathBuf> = names.iter().map(|name| dist_info.join(name)).collect();
            assert_eq!(Installation::decisive_files(&dist_info), expected);
        };
        awaits(&["WHEEL"]);
        write("WHEEL", "Wheel-Version: 1.0\n");
        awaits(&["WHEEL"]);
        write("WHEEL", "Wheel-Version: 1.0\nGenerator: maturin (1.16.0)\n");
        awaits(&["direct_url.json"]);
        write("direct_url.json", "no json");
        awaits(&["direct_url.json", "RECORD"]);
        check(false);
        let root = if cfg!(windows) { "C:/" } else { "/" };
        let url = format!("file:///{}p", root.trim_start_matches('/'));
        write("direct_url.json", &format!(r#"{{"url": "{url}", "dir_info": {{"editable": true}}}}"#));
        check(true);
        let lines = format!("import os; x\n{root}p/python\n{root}elsewhere\n");
        std::fs::write(site.join("my_project.pth"), lines).unwrap();
        let found = Installation::read(&dist_info).unwrap();
        let python = PathBuf::from(format!("{root}p/python"));
        let library = found.place_of("my_project/x.so");
        let expected: PathBuf = python.join("my_project").join("x.so").components().collect();
        assert_eq!(library.to_str(), expected.to_str());
        assert_eq!((found.name.as_str(), found.roots), ("my_project", vec![python]));
        write("RECORD", "my_project/x.so,,\n../../../bin/tool,,\nmy_project-1.0.dist-info/RECORD,,\n");
        let found = Installation::read(&dist_info).unwrap();
        assert_eq!((found.roots.len(), found.files.len()), (0, 2));
        write("RECORD", "my_project.pth,,\n");
        assert_eq!(Installation::read(&dist_info).unwrap().roots.len(), 2);
        write("WHEEL", "Generator: setuptools\n");
        check(false);
        awaits(&[]);
        // Poetry installs projects of any backend.
        write("WHEEL", "Generator: poetry-core 2.5.0\n");
        check(false);
        let project = folder.path().join("project");
        std::fs::create_dir(&project).unwrap();
        std::fs::write(project.join("pyproject.toml"), "[build-system]\nbuild-backend = \"maturin\"\n").unwrap();
        let url = paths::url_of(&project);
        write("direct_url.json", &format!(r#"{{"url": "{url}", "dir_info": {{"editable": true}}}}"#));
        check(true);
    }
}
