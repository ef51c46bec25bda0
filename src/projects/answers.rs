//! Lets maturin ask an interpreter only once. For each build of a project, it starts Python three times with questions
//! whose answers stay the same as long as the interpreter does: 35 of the 240 ms of its build. A stand-in answers what
//! was asked before; everything else it hands on to the interpreter, whose answer it notes. (For scripts, pyo3's
//! configuration file has the answers. In a project's target folder it would recompile pyo3 after each
//! `maturin develop`.)

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::env_vars;
use crate::base::fs::{self, Stat};
use crate::base::sealed;

/// Notes longer than this, in bytes, are not answers.
const LIMIT: u64 = 1 << 20;

/// What an interpreter has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Answers {
    /// Identifies the interpreter and what else its answers depend on.
    key: String,
    known: Vec<(String, String)>,
}

/// A program that answers like an interpreter.
pub struct StandIn {
    folder: PathBuf,
    python: PathBuf,
    answers: Answers,
}

impl StandIn {
    /// The stand-in for `python`, which is kept in a folder.
    pub fn in_folder(folder: PathBuf, python: &Path) -> Self {
        let configuration = python.parent().and_then(Path::parent).map(|prefix| prefix.join("pyvenv.cfg"));
        let stats = (Stat::of(python), configuration.and_then(|path| Stat::of(&path)));
        let key = fs::hash_bytes(format!("{:?}", (python, stats, env_vars::of_python())).as_bytes());
        let known = sealed::read(&file(&folder)).filter(|known: &Answers| known.key == key);
        let answers = known.unwrap_or(Answers { key, known: Vec::new() });
        Self { folder, python: python.to_owned(), answers }
    }

    /// The program, or the interpreter itself where there cannot be one.
    pub fn program(&self) -> PathBuf {
        let program = self.folder.join("python");
        let Some(script) = self.script() else { return self.python.clone() };
        let written = fs::create_private_folder(&self.folder).and_then(|()| fs::write_program(&program, &script));
        if written.is_ok_and(|is_usable| is_usable) { program } else { self.python.clone() }
    }

    /// Adds the answers of the last build.
    pub fn learn(&self) {
        let Ok(notes) = fs::read_at_most(&self.notes(), LIMIT) else { return };
        fs::remove(&self.notes());
        let Ok(notes) = String::from_utf8(notes) else { return };
        // A note that is not whole has no end.
        let mut parts: Vec<&str> = notes.split('\0').collect();
        parts.pop();
        let mut answers = self.answers.clone();
        for [question, answer] in parts.as_chunks().0 {
            if answers.known.iter().all(|(known, _)| known != question) {
                answers.known.push(((*question).to_owned(), (*answer).to_owned()));
            }
        }
        // An error is ignored, since this only saves time.
        let _ = sealed::write(&file(&self.folder), &answers);
    }

    fn notes(&self) -> PathBuf {
        self.folder.join("notes")
    }

    fn script(&self) -> Option<String> {
        let (python, notes) = (quoted(self.python.to_str()?), quoted(self.notes().to_str()?));
        let mut script = format!("#!/bin/sh\n[ $# = 2 ] && [ \"$1\" = -c ] || exec {python} \"$@\"\ncase $2 in\n");
        for (question, answer) in &self.answers.known {
            let _ = writeln!(script, "{}) printf %s {}; exit ;;", quoted(question), quoted(answer));
        }
        // The letter keeps the lines that end the answer, which the shell would remove.
        let _ = write!(
            script,
            "esac\nanswer=$({python} \"$@\"; status=$?; printf x; exit $status)\nstatus=$?\nprintf %s \"${{answer%x}}\"\n\
             [ $status = 0 ] && printf '%s\\0%s\\0' \"$2\" \"${{answer%x}}\" >> {notes} 2> /dev/null\nexit $status\n"
        );
        Some(script)
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("answers.toml")
}

/// A word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_question_is_asked_once() {
        let folder = tempfile::tempdir().unwrap();
        let (home, python) = (folder.path().join("it's"), folder.path().join("py'thon"));
        let asked = folder.path().join("asked");
        let interpreter = format!("#!/bin/sh\necho \"$2\" >> {}\nprintf 'a\\n%s\\n\\n' \"$2\"\n", asked.display());
        assert!(fs::write_program(&python, &interpreter).unwrap());
        let ask = |words: &[&str]| {
            let stand_in = StandIn::in_folder(home.clone(), &python);
            let said = Command::new(stand_in.program()).args(words).output().unwrap();
            stand_in.learn();
            (String::from_utf8(said.stdout).unwrap(), said.status.success())
        };
        let times = || std::fs::read_to_string(&asked).unwrap_or_default().lines().count();
        for question in ["import 'x'; $(y) `z` \\ \"", "*", ""] {
            let before = times();
            let expected = (format!("a\n{question}\n\n"), true);
            assert_eq!((ask(&["-c", question]), ask(&["-c", question])), (expected.clone(), expected), "{question}");
            assert_eq!(times(), before + 1, "{question}");
        }
        // Other words, a damaged stand-in, and another interpreter in the same place.
        assert_eq!(ask(&["-m", "x"]).0, "a\nx\n\n");
        std::fs::write(home.join("python"), "exit 3").unwrap();
        assert_eq!(ask(&["-c", "*"]), ("a\n*\n\n".into(), true));
        assert!(fs::write_program(&python, "#!/bin/sh\nexit 4\n").unwrap());
        assert_eq!(ask(&["-c", "*"]), (String::new(), false));
        assert_eq!(ask(&["-c", "*"]), (String::new(), false));
    }
}
