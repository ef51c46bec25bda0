//! Writes and removes the files of `site install`: a block in `sitecustomize.py`, which may contain other code, and the
//! files that replace it where it is not run. Which file an environment needs is decided in Python (`_site.py`).
//!
//! The block is identified by its first and its last line. The code before and after it is kept byte by byte. The first
//! line records whether the file, or the line break before the block, was added together with it and has to be removed.

use std::path::Path;

use crate::base::error::{Error, Result};
use crate::base::fs;

/// What is put into both: it is run at every start, and loads nothing.
const GATE: &str = include_str!("../../site/gate.py");
const BLOCK: &str = include_str!("../../site/sitecustomize.py");
const PTH: &str = include_str!("../../site/rustimport_hook.pth");
const START: &str = include_str!("../../site/rustimport_hook.start");
const START_MODULE: &str = include_str!("../../site/rustimport_hook.py");
const BEGIN: &str = "# <rustimport>";
const END: &str = "# </rustimport>";
/// The first and the last line of `maturin_import_hook`'s block.
const PREDECESSOR: [&str; 2] = ["# <maturin_import_hook>", "# </maturin_import_hook>"];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Records that the file was created for the block.
const CREATED: &str = " (file)";
/// Records that a line break was added before the block.
const BROKEN: &str = " (line)";

/// The blocks in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// The arguments for `install()` in our block, if there is one.
    pub arguments: Option<String>,
    /// Whether there is a block of `maturin_import_hook`: then both hooks would build.
    pub predecessor: bool,
}

pub fn inspect(path: &Path) -> Installed {
    let content = fs::read(path).unwrap_or_default();
    let block =
        find(&content, BEGIN, END).map(|(start, end)| String::from_utf8_lossy(&content[start..end]).into_owned());
    let call = block.as_deref().and_then(|block| block.split_once("rustimport.install(")?.1.lines().next());
    Installed {
        arguments: call.and_then(|call| call.rsplit_once(')')).map(|(arguments, _)| arguments.to_owned()),
        predecessor: find(&content, PREDECESSOR[0], PREDECESSOR[1]).is_some(),
    }
}

/// Whether a file contains the hook as this version writes it.
pub fn has(path: &Path, arguments: &str) -> bool {
    let content = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&content).replace("\r\n", "\n");
    text.contains(&filled("{gate}", arguments))
}

/// Writes the block into a `sitecustomize.py`. It replaces an older block and that of `maturin_import_hook`.
pub fn install(path: &Path, arguments: &str) -> Result<()> {
    let content = read(path)?;
    check(path, content.as_deref().unwrap_or_default())?;
    write(path, &with_block(content.as_deref(), arguments))
}

/// Removes the block, and the file if it was created for the block. Returns whether there was a block.
pub fn uninstall(path: &Path) -> Result<bool> {
    let Some(content) = read(path)? else { return Ok(false) };
    check(path, &content)?;
    let Some((rest, is_ours)) = without_block(&content) else { return Ok(false) };
    if is_ours {
        fs::remove_users_file(path).map_err(|error| failed("remove", path, &error))?;
    } else {
        write(path, &rest)?;
    }
    Ok(true)
}

/// Restores the content from before `install`; without content, removes the file.
pub fn restore(path: &Path, content: Option<&[u8]>) -> Result<()> {
    match content {
        Some(content) => write(path, content),
        None => fs::remove_users_file(path).map_err(|error| failed("remove", path, &error)),
    }
}

/// Writes a `.pth` file with the same effect, for environments in which `sitecustomize.py` is not run, and the module
/// that it imports.
pub fn install_pth(path: &Path, module: &Path, arguments: &str) -> Result<()> {
    write(module, filled(START_MODULE, arguments).as_bytes())?;
    write(path, PTH.as_bytes())
}

/// Writes files with the same effect for Pythons that do not run code in `.pth` files (PEP 829): one that names a
/// function, and the module with that function.
pub fn install_start(path: &Path, module: &Path, arguments: &str) -> Result<()> {
    write(module, filled(START_MODULE, arguments).as_bytes())?;
    write(path, START.as_bytes())
}

fn with_block(content: Option<&[u8]>, arguments: &str) -> Vec<u8> {
    let mut rest = content.map(<[u8]>::to_vec);
    if let Some(text) = &rest
        && let Some((without, is_ours)) = without_block(text)
    {
        rest = (!is_ours).then_some(without);
    }
    if let Some(text) = &mut rest
        && let Some((start, end)) = find(text, PREDECESSOR[0], PREDECESSOR[1])
    {
        text.drain(start..end);
    }
    let is_created = rest.is_none();
    let mut all = rest.unwrap_or_default();
    let line_end = if memchr::memmem::find(&all, b"\r\n").is_some() { "\r\n" } else { "\n" };
    let is_broken = !all.is_empty() && !all.ends_with(b"\n") && all != BYTE_ORDER_MARK;
    if is_broken {
        all.extend_from_slice(line_end.as_bytes());
    }
    let notes = format!("{}{}", if is_created { CREATED } else { "" }, if is_broken { BROKEN } else { "" });
    let block = filled(BLOCK, arguments).replacen(BEGIN, &format!("{BEGIN}{notes}"), 1);
    all.extend_from_slice(block.replace('\n', line_end).as_bytes());
    all
}

fn filled(template: &str, arguments: &str) -> String {
    template.replace("{gate}", GATE.trim_end()).replace("{arguments}", arguments)
}

/// The content without the block, and whether the file is empty then and was created for the block. `None` if there is
/// no block.
fn without_block(content: &[u8]) -> Option<(Vec<u8>, bool)> {
    let (start, end) = find(content, BEGIN, END)?;
    let line = content[start..end].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let notes = |note: &str| {
        memchr::memmem::find(line, format!("{BEGIN}{CREATED}{note}").as_bytes()).is_some()
            || memchr::memmem::find(line, format!("{BEGIN}{note}").as_bytes()).is_some()
    };
    let mut rest = content.to_vec();
    let mut start = start;
    // The line break is kept if something was added below the block.
    if notes(BROKEN) && end == content.len() && rest[..start].ends_with(b"\n") {
        start -= if rest[..start].ends_with(b"\r\n") { 2 } else { 1 };
    }
    rest.drain(start..end);
    let is_ours = rest.is_empty() && notes(CREATED);
    Some((rest, is_ours))
}

/// The range of a block, from the start of its first line to the end of its last line. Lines that only contain such
/// words are the user's.
fn find(content: &[u8], begin: &str, end: &str) -> Option<(usize, usize)> {
    let mut start = None;
    for (place, line) in lines(content) {
        if line.starts_with(begin.as_bytes()) {
            start = Some(place);
        } else if line.trim_ascii_end() == end.as_bytes()
            && let Some(start) = start
        {
            return Some((start, place + line.len()));
        }
    }
    None
}

/// The lines with their ends, and where they start.
fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut place = if content.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    content[place..].split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let start = place;
        place += line.len();
        (start, line)
    })
}

/// Refuses a file with a block whose last line is missing: it is unknown where the user's code begins.
fn check(path: &Path, content: &[u8]) -> Result<()> {
    let count = |is_one: &dyn Fn(&[u8]) -> bool| lines(content).filter(|(_, line)| is_one(line)).count();
    let begun = count(&|line| line.starts_with(BEGIN.as_bytes()));
    if begun == count(&|line| line.trim_ascii_end() == END.as_bytes()) {
        return Ok(());
    }
    Err(Error::project(
        path,
        format!("{} has been changed: the lines `{BEGIN}` and `{END}` do not match", path.display()),
        "nothing was changed: remove rustimport's code in it by hand, from the one line to the other",
    ))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write_users_file(path, content).map_err(|error| failed("write", path, &error))
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::project(
        path,
        format!("cannot {what} {}: {error}", path.display()),
        "nothing was changed: use an environment that you can write to, such as one created with `python -m venv`, or \
         `--user`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_code_is_kept_byte_by_byte() {
        let check = |content: Option<&[u8]>| {
            let with = with_block(content, "show_warnings=False");
            assert!(memchr::memmem::find(&with, b"install(show_warnings=False)").is_some());
            // Installing again replaces the block.
            let again = with_block(Some(&with), "");
            assert_eq!(lines(&again).filter(|(_, line)| line.starts_with(BEGIN.as_bytes())).count(), 1);
            let (rest, is_ours) = without_block(&again).unwrap();
            assert_eq!((rest.as_slice(), is_ours), (content.unwrap_or_default(), content.is_none()));
            // Code that was added later is kept, on a separate line.
            let (left, is_ours) = without_block(&[&with[..], b"later = 1\n"].concat()).unwrap();
            assert!(!is_ours && left.starts_with(content.unwrap_or_default()) && left.ends_with(b"later = 1\n"));
            assert!(left == b"later = 1\n" || left.ends_with(b"\nlater = 1\n") || content == Some(b"\xef\xbb\xbf"));
        };
        check(None);
        check(Some(b""));
        check(Some(b"import os\n"));
        check(Some(b"import os"));
        check(Some(b"import os\r\nx = 1\r\n"));
        check(Some(b"import os\r\nx = 1"));
        check(Some(b"\xef\xbb\xbfimport os\n"));
        check(Some(b"\xef\xbb\xbf"));
        check(Some(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n"));
        // Words of the user's are no block.
        check(Some(b"x = 1  # put own code above \"# <rustimport>\"\ny = 2\n"));
        check(Some(b"TEXT = \"\"\"\nkeep \"# <rustimport>\" and # </rustimport>\n\"\"\"\n"));
        assert_eq!(without_block(b"import os\n"), None);
    }

    #[test]
    fn a_damaged_block_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sitecustomize.py");
        install(&path, "").unwrap();
        let text = std::fs::read_to_string(&path).unwrap().replace("# </rustimport>\n", "mine = 1\n");
        std::fs::write(&path, &text).unwrap();
        assert!(has(&path, "") && !has(&path, "x=1"));
        assert!(install(&path, "").is_err() && uninstall(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn the_block_of_maturin_import_hook_is_replaced() {
        let text = b"a = 1\n# <maturin_import_hook>\nimport x\n# </maturin_import_hook>\nb = 2\n";
        let with = with_block(Some(text), "");
        assert!(with.starts_with(b"a = 1\nb = 2\n# <rustimport>"));
        assert_eq!(without_block(&with).unwrap().0, b"a = 1\nb = 2\n");
    }
}
