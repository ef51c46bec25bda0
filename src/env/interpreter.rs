//! The interpreter that imports a module. Its description comes from the interpreter itself: starting `sys.executable`
//! to query it would fail where that is an application that embeds Python.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::programs::program;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The name of this interpreter's folder in the cache.
    pub key: String,
    /// `CPython`
    pub implementation: String,
    /// Major and minor version.
    pub version: (u8, u8),
    /// `.cpython-311-x86_64-linux-gnu.so`
    pub extension_suffix: String,
    #[serde(with = "crate::base::text::path_text")]
    pub base_prefix: PathBuf,
    /// 32 or 64.
    pub pointer_width: u32,
    /// `Py_DEBUG`, `Py_REF_DEBUG`, `Py_GIL_DISABLED`, …
    pub build_flags: Vec<String>,
    /// Folders that may contain this environment's executables, the preferred one first. Not part of the record.
    #[serde(skip)]
    pub script_folders: Vec<PathBuf>,
    /// This environment's folder. Not part of the record, which all environments of an interpreter use.
    #[serde(skip)]
    pub prefix: PathBuf,
    /// `glibc 2.36`, if the library reports its version. Not part of the record, since a system update can change it.
    #[serde(skip)]
    pub c_library: Option<String>,
    /// The number of a version before the final one, whose ABI may differ from that of others. Not part of the record.
    #[serde(skip)]
    pub pre_release: Option<String>,
    /// Whether the interpreter hashes with SipHash-1-3 (since 3.11), not with SipHash-2-4.
    #[serde(skip)]
    pub siphash13: bool,
}

impl Interpreter {
    /// `python3.11`, or `python3.13t` for a free-threaded build. With such a name for `-i`, maturin need not run the
    /// interpreter.
    pub fn maturin_name(&self) -> String {
        let threads = if self.build_flags.iter().any(|flag| flag == "Py_GIL_DISABLED") { "t" } else { "" };
        format!("python{}.{}{threads}", self.version.0, self.version.1)
    }

    /// What has to be equal on another machine that uses an artifact of this one.
    pub fn abi(&self) -> String {
        let Self { implementation, version: (major, minor), extension_suffix, pointer_width, build_flags, .. } = self;
        let (flags, pre_release) = (build_flags.join(","), &self.pre_release);
        format!(
            "{} {implementation} {major}.{minor} {extension_suffix} {pointer_width} {flags} {pre_release:?}",
            platform()
        )
    }

    /// The Python of the base installation that environments are created from.
    pub fn base_executable(&self) -> PathBuf {
        if cfg!(windows) {
            self.base_prefix.join("python.exe")
        } else {
            self.base_prefix.join("bin").join(self.maturin_name())
        }
    }

    /// The folder that contains an environment's executables.
    pub fn scripts_of(&self, prefix: &Path) -> PathBuf {
        prefix.join(if cfg!(windows) { "Scripts" } else { "bin" })
    }

    /// The Python executable of an environment, if there is one, for tools that run it.
    pub fn python_of(&self, prefix: &Path) -> Option<PathBuf> {
        let folders = [self.scripts_of(prefix), prefix.to_owned()];
        let names = [program("python"), program(&self.maturin_name()), program("python3")];
        let all = folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
        all.into_iter().find(|path| path.is_file())
    }

    /// The content of pyo3's configuration file for this interpreter.
    pub fn pyo3_config(&self) -> String {
        let (major, minor) = self.version;
        let mut config = self.config(self.pointer_width);
        if cfg!(windows) {
            // On other systems an extension module resolves Python's symbols in the process that loads it.
            let libs = self.base_prefix.join("libs");
            config += &format!("lib_name=python{major}{minor}\nlib_dir={}\n", libs.display());
            // For maturin, which derives it on other systems.
            config += &format!("ext_suffix={}\n", self.extension_suffix);
        }
        config
    }

    /// The same for a Python of this version on Windows, from another system.
    pub fn pyo3_config_for_windows(&self, triple: &str) -> String {
        let (major, minor) = self.version;
        let (platform, width) = match triple.split('-').next() {
            Some("aarch64") => ("win_arm64", 64),
            Some("i686") => ("win32", 32),
            _ => ("win_amd64", 64),
        };
        let threads = if self.build_flags.iter().any(|flag| flag == "Py_GIL_DISABLED") { "t" } else { "" };
        self.config(width) + &format!("ext_suffix=.cp{major}{minor}{threads}-{platform}.pyd\n")
    }

    fn config(&self, pointer_width: u32) -> String {
        let (major, minor) = self.version;
        format!(
            "implementation={}\nversion={major}.{minor}\nshared=true\nabi3=false\npointer_width={pointer_width}\n\
             build_flags={}\nsuppress_build_script_link_lines=false\n",
            self.implementation,
            self.build_flags.join(","),
        )
    }

    /// The keyed hash that `_imp.source_hash(0, bytes)` returns in this interpreter, in hexadecimal.
    pub fn source_hash(&self, bytes: &[u8]) -> String {
        use std::hash::Hasher;
        let hash = if self.siphash13 {
            let mut hasher = siphasher::sip::SipHasher13::new_with_keys(0, 0);
            hasher.write(bytes);
            hasher.finish()
        } else {
            let mut hasher = siphasher::sip::SipHasher24::new_with_keys(0, 0);
            hasher.write(bytes);
            hasher.finish()
        };
        format!("{:016x}", if cfg!(target_endian = "little") { hash.swap_bytes() } else { hash })
    }
}

/// This process's platform, such as `x86_64-linux-gnu`.
pub fn platform() -> String {
    let library = if cfg!(target_env = "musl") {
        "-musl"
    } else if cfg!(target_env = "gnu") {
        "-gnu"
    } else {
        ""
    };
    format!("{}-{}{library}", std::env::consts::ARCH, std::env::consts::OS)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn interpreter() -> Interpreter {
        Interpreter {
            key: "cpython-311-x86_64-linux-gnu-0".into(),
            implementation: "CPython".into(),
            version: (3, 11),
            extension_suffix: ".cpython-311-x86_64-linux-gnu.so".into(),
            base_prefix: "/usr".into(),
            pointer_width: 64,
            build_flags: vec![],
            script_folders: vec![],
            prefix: "/usr".into(),
            c_library: Some("glibc 2.36".into()),
            pre_release: None,
            siphash13: true,
        }
    }

    #[test]
    fn windows_from_another_system() {
        let check = |triple: &str, flags: &[&str], expected: &str| {
            let build_flags = flags.iter().map(ToString::to_string).collect();
            let config = Interpreter { build_flags, ..interpreter() }.pyo3_config_for_windows(triple);
            assert!(config.contains(expected), "{config}");
        };
        check("x86_64-pc-windows-gnu", &[], "\next_suffix=.cp311-win_amd64.pyd\n");
        check("aarch64-pc-windows-msvc", &["Py_GIL_DISABLED"], "\next_suffix=.cp311t-win_arm64.pyd\n");
        check("i686-pc-windows-msvc", &[], "\npointer_width=32\n");
    }

    #[test]
    fn source_hashes_equal_the_interpreters() {
        let check = |siphash13: bool, expected: &str| {
            let interpreter = Interpreter { siphash13, ..interpreter() };
            assert_eq!(interpreter.source_hash(b"hello"), expected);
        };
        check(true, "9e1f4ecb417be7e2");
        check(false, "b952f7b25d5dc18c");
    }

    #[test]
    fn maturin_names() {
        let check = |flags: &[&str], expected: &str| {
            let build_flags = flags.iter().map(ToString::to_string).collect();
            assert_eq!(Interpreter { build_flags, ..interpreter() }.maturin_name(), expected);
        };
        check(&[], "python3.11");
        check(&["Py_DEBUG"], "python3.11");
        check(&["Py_GIL_DISABLED"], "python3.11t");
    }
}
