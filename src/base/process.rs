//! Child processes. Starts a command, reads both of its pipes, and kills it with all its children if the observer
//! interrupts the wait. Output is kept up to a limit. Which commands run, and what their output means, is up to the
//! callers.

use std::io::Read;
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
#[cfg(unix)]
use std::os::unix::{net::UnixStream, process::ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use process_wrap::std::{ChildWrapper, CommandWrap};

use crate::base::env_vars;
use crate::base::error::{Error, Result};
use crate::base::event::Observer;
#[cfg(unix)]
use crate::base::fork_guard::ForkGuard;

/// How often a wait checks for the child's end.
const POLL: Duration = Duration::from_millis(50);
/// How long to wait after the child ended for a pipe that a grandchild (such as a compiler daemon) keeps open.
const GRACE: Duration = Duration::from_millis(500);
/// The same while output arrives: it may be the child's last output.
const GRACE_WITH_OUTPUT: Duration = Duration::from_secs(3);
/// How many bytes are kept of each pipe's output: this many from its beginning, and as many from its end.
const LIMIT: usize = 4 << 20;

pub struct Finished {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Finished {
    /// The signal that killed it.
    pub fn signal(&self) -> Option<i32> {
        #[cfg(unix)]
        if let Some(signal) = self.status.signal() {
            return Some(signal);
        }
        // A shell reports a child that was killed by a signal as 128 + signal.
        self.status.code().and_then(|code| code.checked_sub(128)).filter(|signal| *signal > 0)
    }

    /// Why it failed, and what to do: `hint`, if the reason is in its own output.
    pub fn complaint<'a>(&self, hint: &'a str) -> (String, &'a str) {
        if let Some(signal) = self.signal() {
            return (format!("it was killed by signal {signal}"), "try again");
        }
        let said = String::from_utf8_lossy(&self.stderr);
        (said.strip_prefix("error: ").unwrap_or(&said).trim().to_owned(), hint)
    }
}

/// A command without standard input, with the import hook disabled, and without the key that signs for a remote store.
pub fn command(program: &std::path::Path) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove(env_vars::REMOTE_KEY)
        .env(env_vars::ENABLED, "0")
        .env(env_vars::MATURIN_HOOK_ENABLED, "0");
    command
}

/// The words of a command, for messages and errors.
pub fn words(command: &Command) -> Vec<String> {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// The scheduling priority of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    Normal,
    /// Lower than normal, so that a long build does not slow down short ones.
    Patient,
}

/// Starts a command that ends when this process ends, even if this process is killed: otherwise cargo would go on
/// writing to the folders that the next build writes to.
#[cfg(unix)]
pub fn spawn_bound(command: &Command, priority: Priority) -> std::io::Result<Running> {
    let mut shell = bound(command, priority)?;
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let own = ForkGuard::of(&std::fs::File::from(ours.as_fd().try_clone_to_owned()?).metadata()?);
    shell.stdin(Stdio::from(OwnedFd::from(theirs)));
    let mut running = spawn(shell)?;
    running.lifeline = Some((ours, own));
    Ok(running)
}

/// Windows kills the members of such a job when its last handle is closed, as at the end of this process.
#[cfg(windows)]
pub fn spawn_bound(command: &Command, _: Priority) -> std::io::Result<Running> {
    use std::os::windows::io::AsRawHandle;
    let mut limits = win32job::ExtendedLimitInfo::new();
    limits.limit_kill_on_job_close();
    let mut running = spawn(copy(command))?;
    let job = win32job::Job::create_with_limit_info(&limits).map_err(std::io::Error::other)?;
    if let Some(handle) = running.child.process_handle() {
        job.assign_process(handle.as_raw_handle() as isize).map_err(std::io::Error::other)?;
    }
    running.lifeline = Some(job);
    Ok(running)
}

/// Starts a command that goes on when this process ends, and is nobody's child: nothing has to wait for it.
#[cfg(unix)]
pub fn spawn_detached(command: &Command) -> std::io::Result<()> {
    const SHELL: &str = r#"trap '' HUP; "$@" </dev/null >/dev/null 2>&1 &"#;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SHELL, "rustimport"]).arg(command.get_program()).args(command.get_args());
    copy_surroundings(command, &mut shell);
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    // The application may have waited for it already.
    let _ = shell.stdin(Stdio::null()).spawn()?.wait();
    Ok(())
}

#[cfg(windows)]
pub fn spawn_detached(command: &Command) -> std::io::Result<()> {
    const DETACHED_PROCESS: u32 = 8;
    let mut child = copy(command);
    std::os::windows::process::CommandExt::creation_flags(&mut child, DETACHED_PROCESS);
    child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
}

/// A copy of a command that [`command`] made.
pub fn copy(original: &Command) -> Command {
    let mut copy = command(original.get_program().as_ref());
    copy.args(original.get_args());
    copy_surroundings(original, &mut copy);
    copy
}

/// Gives a command the environment and the working folder of another one.
fn copy_surroundings(from: &Command, to: &mut Command) {
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
    if let Some(folder) = from.get_current_dir() {
        to.current_dir(folder);
    }
}

/// Wraps a command in a shell that holds the other end of a socket. The shell writes the command's exit status to the
/// socket, since the embedding application may reap our child before we do. If the socket closes before that, this
/// process has ended, and the shell kills the process group: the command, its children and itself.
#[cfg(unix)]
fn bound(command: &Command, priority: Priority) -> std::io::Result<Command> {
    const NICE: &str = "/usr/bin/nice";
    const SHELL: &str = r#"
        exec 3<&0 </dev/null
        "$@" 3<&- &
        command=$!
        (read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 &
        watcher=$!
        exec 2>/dev/null
        wait $command
        status=$?
        echo $status >&3
        kill -KILL $watcher
        exit $status
    "#;
    if !std::path::Path::new(command.get_program()).is_file() {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SHELL, "rustimport"]);
    if priority == Priority::Patient && std::path::Path::new(NICE).is_file() {
        shell.args([NICE, "-n", "5"]);
    }
    shell.arg(command.get_program()).args(command.get_args());
    copy_surroundings(command, &mut shell);
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(shell)
}

/// The output of a short command that needs no supervision; `None` if it cannot be started, or fails.
pub fn answer(mut command: Command) -> Option<Vec<u8>> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then_some(output.stdout)
}

/// Starts a command, in a process group of its own.
pub fn spawn(command: Command) -> std::io::Result<Running> {
    let mut wrap = CommandWrap::from(command);
    #[cfg(unix)]
    wrap.wrap(process_wrap::std::ProcessGroup::leader());
    #[cfg(windows)]
    wrap.wrap(process_wrap::std::JobObject);
    let mut child = wrap.spawn()?;
    // The channel has a limit, so that a child that prints faster than we read has to wait and does not fill the
    // memory.
    let (sender, chunks) = mpsc::sync_channel(16);
    let (stdout, stderr) = (child.stdout().take(), child.stderr().take());
    let running = Running { child, chunks, done: false, lifeline: None };
    if let Some(stdout) = stdout {
        drain(Pipe::Stdout, stdout, sender.clone())?;
    }
    if let Some(stderr) = stderr {
        drain(Pipe::Stderr, stderr, sender)?;
    }
    Ok(running)
}

#[derive(Clone, Copy)]
enum Pipe {
    Stdout,
    Stderr,
}

fn drain(
    pipe: Pipe,
    mut from: impl Read + Send + 'static,
    to: mpsc::SyncSender<(Pipe, Vec<u8>)>,
) -> std::io::Result<()> {
    let work = move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if to.send((pipe, buffer[..read].to_vec())).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().spawn(work).map(drop)
}

/// A running child. Dropping it kills it with its children.
pub struct Running {
    child: Box<dyn ChildWrapper>,
    chunks: mpsc::Receiver<(Pipe, Vec<u8>)>,
    done: bool,
    /// The system closes it when this process ends, even if this process is killed.
    #[cfg(unix)]
    lifeline: Option<(UnixStream, ForkGuard)>,
    #[cfg(windows)]
    lifeline: Option<win32job::Job>,
}

impl Running {
    /// Waits for the child's end. `line` is called with each line of standard error as it arrives, including lines that
    /// end in a carriage return (progress).
    pub fn finish(
        mut self,
        observer: &mut dyn Observer,
        mut line: impl FnMut(&str, &mut dyn Observer),
    ) -> Result<Finished> {
        let (mut stdout, mut stderr) = (BoundedOutput::default(), BoundedOutput::default());
        let mut partial = Vec::new();
        let mut exit: Option<(ExitStatus, Instant)> = None;
        let mut last_query = Instant::now();
        loop {
            observer.check()?;
            let received = self.chunks.recv_timeout(POLL);
            let grace = if received.is_ok() { GRACE_WITH_OUTPUT } else { GRACE };
            let is_closed = matches!(received, Err(RecvTimeoutError::Disconnected));
            match received {
                Ok((Pipe::Stdout, chunk)) => stdout.push(&chunk),
                Ok((Pipe::Stderr, chunk)) => {
                    stderr.push(&chunk);
                    for &byte in &chunk {
                        if byte == b'\n' || byte == b'\r' {
                            line(&String::from_utf8_lossy(&partial), observer);
                            partial.clear();
                        } else if partial.len() < 1 << 16 {
                            partial.push(byte);
                        }
                    }
                }
                Err(_) => {}
            }
            // Also while output arrives: it may be that of a grandchild.
            if exit.is_none() && (is_closed || last_query.elapsed() >= POLL) {
                exit = self.status()?.map(|status| (status, Instant::now()));
                last_query = Instant::now();
            }
            match exit {
                // Both pipes are closed, and only the exit status is missing.
                None if is_closed => thread::sleep(Duration::from_millis(1)),
                Some((_, since)) if is_closed || since.elapsed() > grace => break,
                _ => {}
            }
        }
        self.done = true;
        let status = exit.map(|(status, _)| status).unwrap_or_default();
        Ok(Finished { status, stdout: stdout.into(), stderr: stderr.into() })
    }

    fn status(&mut self) -> Result<Option<ExitStatus>> {
        let status = self
            .child
            .try_wait()
            .map_err(|error| Error::toolchain(format!("lost track of a child process: {error}"), "try again"))?;
        #[cfg(unix)]
        let status = status.or_else(|| self.status_after_reaping());
        Ok(status)
    }

    /// The status of a child that something else in this process has reaped: an application may ignore `SIGCHLD`, or
    /// wait for every child itself.
    #[cfg(unix)]
    fn status_after_reaping(&mut self) -> Option<ExitStatus> {
        /// Assumed if the shell has not reported a status.
        const KILLED: i32 = 9;
        let process = rustix::process::Pid::from_raw(self.child.id().try_into().ok()?)?;
        if rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH) {
            return None;
        }
        let Some((line, _)) = &mut self.lifeline else {
            // The caller sees from the output whether it worked.
            return Some(ExitStatus::default());
        };
        let mut buffer = [0; 16];
        let length = line.read(&mut buffer).unwrap_or(0);
        let code = std::str::from_utf8(&buffer[..length]).ok().and_then(|text| text.trim().parse::<i32>().ok());
        Some(ExitStatusExt::from_raw(code.map_or(KILLED, |code| code << 8)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.done && self.child.start_kill().is_ok() {
            // A killed process ends soon, unless the system blocks it: then it is not waited for.
            let start = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < GRACE {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// The beginning and the end of a stream, [`LIMIT`] bytes each.
#[derive(Default)]
struct BoundedOutput {
    head: Vec<u8>,
    tail: Vec<u8>,
    cut: bool,
}

impl BoundedOutput {
    fn push(&mut self, chunk: &[u8]) {
        let room = (LIMIT - self.head.len()).min(chunk.len());
        let (head, tail) = chunk.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(tail);
        if self.tail.len() > 2 * LIMIT {
            self.tail.drain(..self.tail.len() - LIMIT);
            self.cut = true;
        }
    }
}

impl From<BoundedOutput> for Vec<u8> {
    fn from(output: BoundedOutput) -> Self {
        let mut all = output.head;
        if output.cut {
            all.extend_from_slice(b"\n[...]\n");
        }
        all.extend_from_slice(&output.tail);
        all
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::base::event::Event;
    use std::path::Path;

    /// Interrupts after this many checks, or never.
    struct Patience(Option<u32>);

    impl Observer for Patience {
        fn event(&mut self, _: Event) {}

        fn check(&mut self) -> Result<()> {
            match &mut self.0 {
                Some(0) => Err(Error::Interrupted),
                Some(left) => {
                    *left -= 1;
                    Ok(())
                }
                None => Ok(()),
            }
        }
    }

    fn shell(script: &str, patience: Option<u32>) -> (Result<Finished>, Vec<String>) {
        let mut command = command(Path::new("/bin/sh"));
        command.args(["-c", script]);
        let mut lines = Vec::new();
        let running = spawn(command).unwrap();
        let finished = running.finish(&mut Patience(patience), |line, _| lines.push(line.to_owned()));
        (finished, lines)
    }

    #[test]
    fn both_pipes_are_drained_and_lines_arrive() {
        let script = r"head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; printf '\na\rb\377\n' >&2; exit 3";
        let (finished, lines) = shell(script, None);
        let finished = finished.unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!((finished.stdout.len(), finished.stderr.len()), (300_000, 300_006));
        assert_eq!(lines[1..], ["a", "b\u{fffd}"]);
    }

    #[test]
    fn output_is_limited() {
        let (finished, _) = shell("head -c 60000000 /dev/zero; echo end", None);
        let stdout = finished.unwrap().stdout;
        assert!(stdout.len() < 4 * LIMIT && stdout.ends_with(b"end\n"));
    }

    #[test]
    fn a_daemon_that_keeps_the_pipe_open_is_not_waited_for() {
        let (finished, _) = shell("sleep 600 & echo $!", None);
        let daemon = String::from_utf8(finished.unwrap().stdout).unwrap().trim().parse().unwrap();
        // Killing it verifies that it still runs, and ends it with all files that it inherited.
        rustix::process::kill_process(rustix::process::Pid::from_raw(daemon).unwrap(), rustix::process::Signal::KILL)
            .unwrap();
    }

    #[test]
    fn a_daemon_that_prints_is_not_waited_for() {
        let talk = "while sleep 0.01; do echo talk || exit; done";
        let (finished, _) = shell(&format!("({talk}) & echo $!"), Some(3000));
        let stdout = String::from_utf8(finished.unwrap().stdout).unwrap();
        let daemon = stdout.lines().next().unwrap().parse().unwrap();
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_raw(daemon).unwrap(),
            rustix::process::Signal::KILL,
        );
    }

    #[test]
    fn a_bound_command_runs_unchanged_and_ends_with_its_lifeline() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alive");
        let start = |script: &str| {
            let mut shell = command(Path::new("/bin/sh"));
            shell.args(["-c", script, "a b", "'\""]).env("BOUND", "x y").current_dir(folder.path());
            spawn_bound(&shell, Priority::Patient).unwrap()
        };
        let finished =
            start(r#"echo "$0$1$BOUND"; pwd; cat; echo err >&2; exit 7"#).finish(&mut Patience(None), |_, _| {});
        let finished = finished.unwrap();
        let expected = format!("a b'\"x y\n{}\n", folder.path().canonicalize().unwrap().display());
        assert_eq!((String::from_utf8(finished.stdout).unwrap(), finished.stderr), (expected, b"err\n".to_vec()));
        assert_eq!(finished.status.code(), Some(7));

        let mut running = start(&format!("(sleep 1; touch {}) & sleep 600", file.display()));
        // As if this process had been killed: dropping must neither kill nor wait.
        running.done = true;
        drop(running);
        thread::sleep(Duration::from_millis(1500));
        assert!(!file.exists());
    }

    #[test]
    fn an_interrupt_kills_grandchildren_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alive");
        let script = format!("(sleep 1; touch {0}) & sleep 600", file.display());
        let (finished, _) = shell(&script, Some(2));
        assert!(matches!(finished, Err(Error::Interrupted)));
        thread::sleep(Duration::from_millis(1500));
        assert!(!file.exists());
    }
}
