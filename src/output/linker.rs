//! The phrases of linkers (GNU ld, lld, Apple's and Microsoft's) in the output of rustc, and hints for them.

/// A failure of the linker.
pub struct LinkFailure {
    pub hint: String,
    /// Whether no linker was found.
    pub is_missing: bool,
}

/// Recognises a failure of the linker. `target`: the triple that was requested, if any.
pub fn link_failure(complaint: &str, target: Option<&str>) -> Option<LinkFailure> {
    let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    let after = |start: &str, end: &[char]| {
        let (_, rest) = complaint.split_once(start)?;
        Some(rest.split(end).next().unwrap_or_default().to_owned())
    };
    let variable = target.map(|target| format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_")));
    let debian = |target: &str| {
        let machine = target.split('-').next().unwrap_or_default();
        let library = if target.contains("musl") { "musl" } else { "gnu" };
        (
            format!("gcc-{}-linux-{library}", machine.replace('_', "-")),
            machine.replace("aarch64", "arm64").replace("x86_64", "amd64"),
        )
    };
    let failure = |hint: String, is_missing: bool| Some(LinkFailure { hint, is_missing });
    if let Some(linker) = after("linker `", &['`']).filter(|_| says(&["not found"])) {
        return match (target, &variable) {
            (Some(target), Some(variable)) => failure(
                format!(
                    "there is no `{linker}`: install a linker for {target} (Debian: `apt install {}`) and set {variable} to it, \
                     or link with zig (--zig, after `python -m pip install ziglang`)",
                    debian(target).0
                ),
                true,
            ),
            _ => failure(
                "rustc needs a C compiler to link: install one (Debian: `apt install gcc`, macOS: \
                 `xcode-select --install`, Windows: the Visual Studio build tools)"
                    .into(),
                true,
            ),
        };
    }
    if !says(&["linking with `"]) {
        return None;
    }
    if says(&["crt1.o", "crti.o", "cannot find -lc:", "cannot find -lc\n", "unable to find library -lc\n"]) {
        let package = target.map_or("libc6-dev".into(), |target| format!("libc6-dev-{}-cross", debian(target).1));
        let zig = if target.is_some() { "; or link with zig (--zig), which includes it" } else { "" };
        return failure(format!("the linker cannot find the C library (Debian: `apt install {package}`){zig}"), false);
    }
    let foreign = [
        "file in wrong format",
        "is incompatible with",
        "Relocations in generic ELF",
        "incompatible target",
        "is only supported on",
    ];
    if says(&foreign) {
        let variable = variable.unwrap_or_else(|| "CARGO_TARGET_<TRIPLE>_LINKER".into());
        return failure(
            format!(
                "the linker, or one of the libraries, is for another platform: set {variable} to a linker for the target, \
                 or link with zig (--zig)"
            ),
            false,
        );
    }
    let starts = ["cannot find -l", "unable to find library -l", "library not found for -l", "library '"];
    if let Some(name) = starts.iter().find_map(|start| after(start, &[':', '\n', ' ', '\''])) {
        return failure(
            format!(
                "the linker cannot find the library `{name}`: install its development package (Debian: \
                 `apt install lib{name}-dev`), or add its folder with RUSTFLAGS=\"-L /folder\""
            ),
            false,
        );
    }
    failure(
        "see the linker's message above: install the missing library, or add its folder with RUSTFLAGS=\"-L /folder\""
            .into(),
        false,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints() {
        let arm = Some("aarch64-unknown-linux-gnu");
        let check = |output: &str, target: Option<&str>, expected: &str, is_missing: bool| {
            let found = link_failure(output, target).map(|found| (found.hint.contains(expected), found.is_missing));
            assert_eq!(found, Some((true, is_missing)), "{output}");
        };
        check("error: linker `cc` not found", None, "apt install gcc", true);
        let variable = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER";
        check("error: linker `aarch64-linux-gnu-gcc` not found", arm, variable, true);
        check("linking with `cc` failed\n/usr/bin/ld: cannot find -lssl: No such file", None, "libssl-dev", false);
        check("linking with `cc` failed\nld: cannot find crt1.o", arm, "libc6-dev-arm64-cross", false);
        check("linking with `cc` failed\nld: x.o: file in wrong format", arm, "--zig", false);
        check("linking with `cc` failed\nsomething else", None, "linker's message", false);
        assert!(link_failure("error[E0308]: mismatched types", None).is_none());
    }
}
