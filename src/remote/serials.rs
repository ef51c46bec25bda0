//! Serial numbers of signed sets: against whoever brings back what was signed earlier. The signer counts them up for each
//! content of a source, and a machine remembers the highest number that it saw. No clock is needed.

use std::path::{Path, PathBuf};

use crate::base::fs;
use crate::base::text::is_hex;
use crate::cache::set::Set;

/// The number of contents that are remembered. The size of the file is bounded by it.
const MAX: usize = 8192;

/// The highest numbers that this machine saw, in the user's configuration folder. It is a file of lines: a hash of the
/// content, of the key under which it is found and of the signer, and the number. What cannot be read or written is
/// forgotten.
pub struct Serials(Option<PathBuf>);

impl Serials {
    pub fn of(configuration: &Path) -> Self {
        Self((!configuration.as_os_str().is_empty()).then(|| configuration.join("remote-serials")))
    }

    /// What is counted: everything that a signer built from these inputs.
    pub fn id(signer: &str, key: &str, set: &Set) -> String {
        fs::hash_bytes(format!("{signer} {key} {}", set.inputs_text()).as_bytes())[..32].to_owned()
    }

    fn lines(&self) -> Vec<(String, u64)> {
        let text = self.0.as_ref().and_then(|file| fs::read_text(file).ok()).unwrap_or_default();
        let parse = |line: &str| {
            let (id, number) = line.split_once(' ')?;
            is_hex(id, 32).then_some(())?;
            Some((id.to_owned(), number.parse().ok()?))
        };
        text.lines().filter_map(parse).collect()
    }

    /// The highest number that was seen, or 0.
    pub fn highest(&self, id: &str) -> u64 {
        self.lines().into_iter().filter(|(known, _)| known == id).map(|(_, number)| number).max().unwrap_or_default()
    }

    /// Remembers a number. Errors are ignored: only this machine's memory is worse then.
    pub fn record(&self, id: &str, number: u64) {
        let Some(file) = &self.0 else { return };
        if number <= self.highest(id) {
            return;
        }
        let mut lines = self.lines();
        lines.retain(|(known, _)| known != id);
        lines.push((id.to_owned(), number));
        let newest = lines.iter().skip(lines.len().saturating_sub(MAX));
        let text = newest.map(|(id, number)| format!("{id} {number}")).collect::<Vec<_>>().join("\n");
        let folder = file.parent().unwrap_or(Path::new("/"));
        let _ = fs::create_private_folder(folder).and_then(|()| fs::write(file, text.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_number_is_remembered() {
        let home = tempfile::tempdir().unwrap();
        let (a, b) = ("a".repeat(32), "b".repeat(32));
        let serials = || Serials::of(&home.path().join("config"));
        assert_eq!(serials().highest(&a), 0);
        for (id, number) in [(&a, 3), (&b, 1), (&a, 2)] {
            serials().record(id, number);
        }
        assert_eq!((serials().highest(&a), serials().highest(&b)), (3, 1));
        std::fs::write(home.path().join("config/remote-serials"), "nonsense\n\u{1b} 7\n").unwrap();
        assert_eq!(serials().highest(&a), 0);
        let nowhere = Serials::of(Path::new(""));
        nowhere.record(&a, 1);
        assert_eq!(nowhere.highest(&a), 0);
    }
}
