//! What a library needs from the system that loads it: other libraries, and versions of the C library. The formats are
//! ELF, Mach-O and PE.

use goblin::Object;
use goblin::elf::Elf;

/// The libraries that manylinux and musllinux allow (PEP 600, PEP 656), without those of graphical systems.
const LINUX: &[&str] = &[
    "ld-linux",
    "ld-musl",
    "ld64",
    "libc.musl",
    "libc.so",
    "libdl.so",
    "libgcc_s.so",
    "libm.so",
    "libpthread.so",
    "libresolv.so",
    "librt.so",
    "libutil.so",
];

/// What is part of every macOS.
const MACOS: &[&str] =
    &["/usr/lib/libSystem", "/usr/lib/libiconv", "/usr/lib/libobjc", "/usr/lib/libc++", "/System/Library/"];

/// What is part of every Windows, and what every Python there brings.
const WINDOWS: &[&str] = &[
    "advapi32.dll",
    "api-ms-win-",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "combase.dll",
    "crypt32.dll",
    "dbghelp.dll",
    "iphlpapi.dll",
    "kernel32.dll",
    "msvcrt.dll",
    "ntdll.dll",
    "ole32.dll",
    "oleaut32.dll",
    "psapi.dll",
    "python3",
    "rpcrt4.dll",
    "secur32.dll",
    "shell32.dll",
    "shlwapi.dll",
    "ucrtbase.dll",
    "user32.dll",
    "userenv.dll",
    "vcruntime140.dll",
    "ws2_32.dll",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linkage {
    /// The newest version of glibc that a symbol needs, such as `2.34`.
    pub c_library: Option<String>,
}

impl Linkage {
    /// Reads a library.
    ///
    /// # Errors
    /// It needs libraries that another machine may not have, or is in none of these formats. The text is the end of
    /// "it stays on this machine: …".
    pub fn of(library: &[u8]) -> Result<Self, String> {
        let object = Object::parse(library).map_err(|error| format!("its library cannot be read: {error}"))?;
        let (needed, known): (Vec<&str>, _) = match &object {
            Object::Elf(elf) => (elf.libraries.clone(), LINUX),
            // The first is the library itself.
            Object::Mach(goblin::mach::Mach::Binary(mach)) => (mach.libs.iter().skip(1).copied().collect(), MACOS),
            Object::PE(pe) => (pe.libraries.clone(), WINDOWS),
            _ => return Err("its library is in an unknown format".into()),
        };
        let is_known =
            |name: &&&str| known.iter().any(|known| name.to_ascii_lowercase().starts_with(&known.to_lowercase()));
        if let Some(other) = needed.iter().find(|name| !is_known(name)) {
            return Err(format!("it needs {other}, which other machines may not have"));
        }
        let versions = if let Object::Elf(elf) = &object { versions(elf)? } else { Vec::new() };
        let newest = versions.into_iter().max();
        Ok(Self { c_library: newest.map(|(major, minor)| format!("{major}.{minor}")) })
    }
}

/// The versions of glibc that symbols need.
fn versions(elf: &Elf) -> Result<Vec<(u32, u32)>, String> {
    let needed = elf.verneed.iter().flat_map(goblin::elf::VerneedSection::iter);
    let names = needed.flat_map(|file| file.iter().collect::<Vec<_>>());
    let names = names.filter_map(|version| elf.dynstrtab.get_at(version.vna_name));
    let names = names.filter_map(|name| name.strip_prefix("GLIBC_"));
    let known = |name: &str| match name {
        // Relative relocations in the short form.
        "ABI_DT_RELR" => Some((2, 36)),
        name => version(name),
    };
    names.map(|name| known(name).ok_or_else(|| format!("it needs glibc with {name}"))).collect()
}

/// Major and minor number of a text such as `2.34` or `2.2.5`.
pub fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_this_program() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let linkage = Linkage::of(&program).unwrap();
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            assert!(version(&linkage.c_library.unwrap()).unwrap() >= (2, 17));
        }
    }

    #[test]
    fn what_is_no_library() {
        assert!(Linkage::of(b"").is_err());
        assert!(Linkage::of(b"\x7fELF and nonsense").is_err());
    }

    #[test]
    fn versions() {
        assert_eq!(version("2.2.5"), Some((2, 2)));
        assert_eq!(version("2.34"), Some((2, 34)));
        assert_eq!(version("PRIVATE"), None);
    }
}
