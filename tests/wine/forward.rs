//! Stands in for a tool on Windows (`cargo.exe`, `rustc.exe`, `maturin.exe`) under Wine: runs the tool of the same name of
//! the Linux system around it, and translates paths. Wine can start Linux programs, but not wait for them, so their exit
//! status comes through a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use std::{env, fs, process, thread};

/// Where the Linux tools are, and what they compile for.
const PATH: &str = "/opt/windows/unix/bin:/usr/local/bin:/usr/bin:/bin";
const TARGET: &str = "x86_64-pc-windows-gnu";

/// Variables that the tools read, by the beginning of their names.
const PASSED: [&str; 8] =
    ["CARGO_", "RUST", "PYO3_", "MATURIN_", "PYTHON_SYS_", "VIRTUAL_ENV", "NO_COLOR", "RUSTIMPORT_ENABLED"];

/// `Z:\a\b` as `/a/b`, also within a text such as `--remap-path-prefix=Z:\a\=`, and with `\\` as in Rust's strings.
fn to_unix(text: &str) -> String {
    let mut found = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(":\\") {
        let is_drive = rest[..start].ends_with(['Z', 'z']);
        found += if is_drive { &rest[..start - 1] } else { &rest[..=start] };
        let end = rest[start + 1..].find(['=', ';', '"', '\'', '\n', '\r']).unwrap_or(rest.len() - start - 1);
        let (path, after) = rest[start + 1..].split_at(end);
        // The prefix of paths without a limit.
        if found.ends_with("\\\\?\\") {
            found.truncate(found.len() - 4);
        }
        found += &path.replace("\\\\", "/").replace('\\', "/");
        rest = after;
    }
    found + rest
}

/// Paths of the Linux system in cargo's messages, as cargo on Windows writes them.
fn to_windows(text: &str) -> String {
    let text = text.replace("file:///opt/windows/", "file:///Z:/opt/windows/").replace("package.unix#", "package#");
    let mut parts = text.split("\"/opt/windows/");
    let mut found = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (path, rest) = part.split_at(part.find('"').unwrap_or(part.len()));
        found += &format!("\"Z:\\\\opt\\\\windows\\\\{}{rest}", path.replace(".unix/", "/").replace('/', "\\\\"));
    }
    found.replace("host: x86_64-unknown-linux-gnu", &format!("host: {TARGET}"))
}

/// Paths in a `.d` file, as rustc on Windows writes them.
fn translate_dep_info(path: &Path) {
    let Ok(text) = fs::read_to_string(path) else { return };
    let word = |word: &str| match word.strip_prefix("/opt/windows/") {
        Some(rest) => format!("Z:\\opt\\windows\\{}", rest.replace('/', "\\").replace(".unix\\", "\\")),
        None => word.to_owned(),
    };
    let line = |line: &str| {
        if line.starts_with('#') { line.to_owned() } else { line.split(' ').map(word).collect::<Vec<_>>().join(" ") }
    };
    let _ = fs::write(path, text.split('\n').map(line).collect::<Vec<_>>().join("\n"));
}

fn translate_dep_infos(folder: &Path, since: SystemTime) {
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, is_new) =
            (item.path(), item.metadata().and_then(|found| found.modified()).is_ok_and(|time| time >= since));
        if path.is_dir() {
            translate_dep_infos(&path, since);
        } else if is_new && path.extension().is_some_and(|kind| kind == "d") {
            translate_dep_info(&path);
        }
    }
}

/// Writes a file if its content changed, since cargo compares times.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).expect("the cache is writable");
    }
}

/// A copy of a file with Linux paths, such as pyo3's configuration.
fn translated(path: &str) -> String {
    let copy = format!("{path}.unix");
    write(Path::new(&copy), &to_unix(&fs::read_to_string(path).unwrap_or_default()));
    to_unix(&copy)
}

/// A copy of a generated package with Linux paths; other folders are used as they are.
fn translated_package(folder: &Path) -> Option<PathBuf> {
    let copy = PathBuf::from(format!("{}.unix", folder.display()));
    let is_generated = folder.ends_with("package") && folder.join("Cargo.toml").is_file();
    if !is_generated {
        return None;
    }
    copy_translated(folder, &copy);
    Some(copy)
}

fn copy_translated(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the cache is writable");
    for item in fs::read_dir(from).into_iter().flatten().flatten() {
        let (path, copy) = (item.path(), to.join(item.file_name()));
        if path.is_dir() {
            copy_translated(&path, &copy);
        } else {
            let text = to_unix(&fs::read_to_string(&path).unwrap_or_default());
            write(&copy, &text.replace("/package/", "/package.unix/"));
        }
    }
}

fn main() {
    let program = env::current_exe().expect("a program has a path");
    let tool = program.file_stem().expect("it has a name").to_string_lossy().into_owned();
    // On a drive that both systems have. Numbers of processes are used again, also that of one that was killed.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970").as_nanos();
    let folder = program.with_file_name(format!("forward-{}-{now}", process::id()));
    fs::create_dir_all(&folder).expect("there is a temporary folder");
    let of = |name: &str| to_unix(&folder.join(name).display().to_string());
    // For tests of what waits.
    if let Some(seconds) = env::var("FORWARD_SLEEP").ok().and_then(|seconds| seconds.parse().ok()) {
        thread::sleep(Duration::from_secs_f64(seconds));
    }
    let mut words = vec!["/usr/bin/env".to_owned(), format!("PATH={PATH}"), "HOME=/root".into()];
    let mut target = None;
    for (name, value) in env::vars() {
        if PASSED.iter().any(|prefix| name.starts_with(prefix)) && name != "RUSTC" {
            if name == "CARGO_TARGET_DIR" {
                target = Some(value.clone());
            }
            let value = if name == "PYO3_CONFIG_FILE" { translated(&value) } else { to_unix(&value) };
            words.push(format!("{name}={value}"));
        }
    }
    // maturin would run the interpreter, and build for this system: it finds the other one by its version.
    let is_project = tool == "maturin" && !env::args().any(|word| word == "--target");
    words.push(tool);
    let current = env::current_dir().expect("there is a working folder");
    let mut package = translated_package(&current).map(|copy| (current.clone(), copy));
    let mut given = env::args().skip(1);
    while let Some(word) = given.next() {
        if is_project && (word == "-i" || word == "--interpreter") {
            given.next();
            words.extend(["-i".into(), "python3.12".into(), "--target".into(), TARGET.into()]);
            continue;
        }
        let manifest = Path::new(&word).parent().filter(|_| word.ends_with("Cargo.toml"));
        match manifest.and_then(|folder| Some((folder.to_owned(), translated_package(folder)?))) {
            Some((folder, copy)) => {
                words.push(to_unix(&copy.join("Cargo.toml").display().to_string()));
                package = Some((folder, copy));
            }
            None => words.push(to_unix(&word)),
        }
    }
    let place = package.as_ref().map(|(_, copy)| copy).filter(|_| current.ends_with("package")).unwrap_or(&current);
    let since = SystemTime::now() - Duration::from_secs(2);
    // Wine passes standard input and output on, and not standard error.
    const SHELL: &str = r#"cd "$1"; out=$2; shift 2; "$@" > "$out/out" 2> "$out/err" < /dev/null; echo $? > "$out/new"; mv "$out/new" "$out/status""#;
    fs::write(folder.join("err"), "").expect("the folder is writable");
    let mut command = Command::new("Z:\\bin\\sh");
    command.args(["-c", SHELL, "sh", &to_unix(&place.display().to_string()), &of("")]).args(words);
    command.stdin(Stdio::null()).spawn().expect("Wine starts Linux programs");
    let mut shown = 0;
    let status = loop {
        let found = fs::read_to_string(folder.join("status")).unwrap_or_default();
        let errors = fs::read(folder.join("err")).unwrap_or_default();
        if errors.len() > shown {
            let text = String::from_utf8_lossy(&errors[shown..]).replace("package.unix", "package");
            let _ = std::io::stderr().write_all(text.as_bytes());
            shown = errors.len();
        }
        match found.trim().parse() {
            Ok(status) => break status,
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    };
    translate_dep_infos(&target.map_or_else(|| current.join("target"), PathBuf::from), since);
    if let Some((folder, copy)) = package
        && let Ok(lock) = fs::read_to_string(copy.join("Cargo.lock"))
    {
        write(&folder.join("Cargo.lock"), &lock);
    }
    let output = fs::read(folder.join("out")).unwrap_or_default();
    let _ = std::io::stdout().write_all(to_windows(&String::from_utf8_lossy(&output)).as_bytes());
    let _ = fs::remove_dir_all(&folder);
    process::exit(status);
}
