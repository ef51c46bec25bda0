//! The binding to Python: the one file that names pyo3. It converts, releases the GIL, and turns events
//! into calls of one callback; it decides nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::base::diagnostic::Diagnostic;
use crate::base::env_vars::without_secrets;
use crate::base::error::Error;
use crate::base::event::{Event, Observer};
use crate::base::lock::Timeout;
use crate::ensure;
use crate::env::interpreter::Interpreter;
use crate::env::request::Cell;
use crate::env::request::{Installed, Outcome, Request, SourceKind};
use crate::env::settings::{Arguments, Settings};

#[pymodule]
#[allow(clippy::needless_pass_by_value, reason = "that is how arguments come")]
mod _core {
    use super::{Bound, PathBuf, Py, PyAny, PyDict, PyResult, Python, catch, ensure, outcome, pyfunction};

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name that Python asks for")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Returns the artifact of a source, built if it was stale.
    #[pyfunction]
    #[pyo3(name = "ensure")]
    fn py_ensure<'py>(
        py: Python<'py>,
        request: &Bound<'py, PyDict>,
        on_event: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let request = super::request(request)?;
        let done = super::run_with(py, on_event, |observer| ensure::ensure(&request, observer))?;
        outcome(py, &done)
    }

    /// Writes a cell's text into the cache. Returns its file, and the module that it declares itself.
    #[pyfunction]
    fn write_cell(
        py: Python<'_>,
        root: PathBuf,
        text: &str,
        manifest: &str,
    ) -> PyResult<crate::sources::cell::Written> {
        super::run(py, || crate::sources::cell::write(&root, text, manifest))
    }

    /// A copy of what is installed of a project, at a path that was never loaded.
    #[pyfunction]
    fn copy_installed(
        py: Python<'_>,
        request: &Bound<'_, PyDict>,
        artifact: PathBuf,
        on_event: Py<PyAny>,
    ) -> PyResult<PathBuf> {
        let request = super::request(request)?;
        super::run_with(py, on_event, |observer| ensure::copy_installed(&request, &artifact, observer))
    }

    /// The folders of the packages on this machine that a project is made of.
    #[pyfunction]
    fn local_packages(py: Python<'_>, request: &Bound<'_, PyDict>, on_event: Py<PyAny>) -> PyResult<Vec<PathBuf>> {
        let request = super::request(request)?;
        super::run_with(py, on_event, |observer| ensure::local_packages(&request, observer))
    }

    /// Whether all files of a stamp have the stats that stand there.
    #[pyfunction]
    fn files_are_unchanged(stamp: &[u8]) -> bool {
        catch(|| crate::freshness::stamp::files_are_unchanged(stamp)).unwrap_or(false)
    }

    /// The maturin that a build would use.
    #[pyfunction]
    fn find_maturin(py: Python<'_>, request: &Bound<'_, PyDict>) -> PyResult<PathBuf> {
        let request = super::request(request)?;
        super::run(py, || crate::build::maturin::find_maturin(&request))
    }

    /// The index of the editable projects in some site folders, written to a file if that can be written.
    #[pyfunction]
    fn index_projects(
        py: Python<'_>,
        folders: Vec<PathBuf>,
        file: PathBuf,
        interpreter: &Bound<'_, PyDict>,
    ) -> PyResult<Vec<u8>> {
        let interpreter = super::interpreter(interpreter)?;
        super::run(py, || Ok(crate::projects::index::index(&folders, &file, &interpreter).into_bytes()))
    }

    /// The same, with all projects that could be installed: those of some folders, and those that stand above others.
    #[pyfunction]
    fn index_all_projects(py: Python<'_>, folders: Vec<PathBuf>, entries: Vec<PathBuf>) -> PyResult<Vec<u8>> {
        super::run(py, || Ok(crate::projects::index::index_all(&folders, &entries).into_bytes()))
    }

    /// The same, and puts it beside the source.
    #[pyfunction]
    fn ensure_in_place<'py>(
        py: Python<'py>,
        request: &Bound<'py, PyDict>,
        on_event: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let request = super::request(request)?;
        let done = super::run_with(py, on_event, |observer| ensure::ensure_in_place(&request, observer))?;
        outcome(py, &done)
    }

    /// Why the artifact beside a source is stale, or `None`.
    #[pyfunction]
    fn check_in_place(py: Python<'_>, request: &Bound<'_, PyDict>, on_event: Py<PyAny>) -> PyResult<Option<String>> {
        let request = super::request(request)?;
        super::run_with(py, on_event, |observer| ensure::check_in_place(&request, observer))
    }

    /// Sources in folders, and among them.
    #[pyfunction]
    fn discover(py: Python<'_>, paths: Vec<PathBuf>, opt_in: bool, are_named: bool) -> PyResult<Vec<PathBuf>> {
        super::run(py, || crate::commands::discover::sources(&paths, opt_in, are_named))
    }

    /// Writes the C header of a source; returns whether it was not there already.
    #[pyfunction]
    fn write_header(py: Python<'_>, source: PathBuf, header: PathBuf, force: bool) -> PyResult<bool> {
        super::run(py, || crate::script::c_header::write(&source, &header, force))
    }

    /// The template that a source asks for, by its name.
    #[pyfunction]
    fn template(py: Python<'_>, source: PathBuf) -> PyResult<Option<&'static str>> {
        super::run(py, || {
            let template =
                if source.is_dir() { None } else { crate::script::parse::Script::read(&source)?.header.template };
            Ok(template.map(crate::script::header::Template::name))
        })
    }

    /// Writes a new source of a kind, made of a script if there is one, and returns what was written.
    #[pyfunction]
    #[pyo3(signature = (path, kind, script))]
    fn scaffold(py: Python<'_>, path: PathBuf, kind: &str, script: Option<PathBuf>) -> PyResult<Vec<PathBuf>> {
        let kind = super::kind(kind)?;
        super::run(py, || crate::commands::scaffold::source(&path, kind, script.as_deref()))
    }

    /// What stands in a `sitecustomize.py`: our block's arguments, and whether the predecessor's is there.
    #[pyfunction]
    fn site_look(py: Python<'_>, path: PathBuf) -> PyResult<(Option<String>, bool)> {
        let found = super::run(py, || Ok(crate::commands::site::look(&path)))?;
        Ok((found.arguments, found.predecessor))
    }

    /// Writes our block into a `sitecustomize.py`.
    #[pyfunction]
    fn site_install(py: Python<'_>, path: PathBuf, arguments: &str) -> PyResult<()> {
        super::run(py, || crate::commands::site::install(&path, arguments))
    }

    /// Takes our block out again.
    #[pyfunction]
    fn site_uninstall(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
        super::run(py, || crate::commands::site::uninstall(&path))
    }

    /// Puts back what stood in a `sitecustomize.py`.
    #[pyfunction]
    #[pyo3(signature = (path, content))]
    fn site_restore(py: Python<'_>, path: PathBuf, content: Option<Vec<u8>>) -> PyResult<()> {
        super::run(py, || crate::commands::site::restore(&path, content.as_deref()))
    }

    /// Writes the `.pth` file, and the module that it imports.
    #[pyfunction]
    fn site_install_pth(py: Python<'_>, path: PathBuf, module: PathBuf, arguments: &str) -> PyResult<()> {
        super::run(py, || crate::commands::site::install_pth(&path, &module, arguments))
    }

    /// Writes the `.start` file, and the module that it names.
    #[pyfunction]
    fn site_install_start(py: Python<'_>, path: PathBuf, module: PathBuf, arguments: &str) -> PyResult<()> {
        super::run(py, || crate::commands::site::install_start(&path, &module, arguments))
    }

    /// What is in the cache.
    #[pyfunction]
    fn cache_info(py: Python<'_>, root: PathBuf) -> PyResult<Bound<'_, PyDict>> {
        let found = super::run(py, || Ok(crate::commands::prune::take(&root)))?;
        super::inventory(py, &root, found)
    }

    /// Creates what is missing of an interpreter's part of the cache, and returns where it is.
    #[pyfunction]
    fn cache_create(py: Python<'_>, root: PathBuf, interpreter: &Bound<'_, PyDict>) -> PyResult<PathBuf> {
        let interpreter = super::interpreter(interpreter)?;
        super::run(py, || crate::commands::prune::create(&root, &interpreter))
    }

    /// Removes what is in the cache, of one interpreter or of all; returns the bytes that are free now.
    #[pyfunction]
    #[pyo3(signature = (root, key, on_event))]
    fn cache_clear(py: Python<'_>, root: PathBuf, key: Option<String>, on_event: Py<PyAny>) -> PyResult<u64> {
        super::run_with(py, on_event, |observer| crate::commands::prune::clear(&root, key.as_deref(), observer))
    }

    /// Removes what is of no use any more, was not used for so many seconds, or is more than so many bytes; returns the
    /// bytes that are free now.
    #[pyfunction]
    #[pyo3(signature = (root, unused_for, size, on_event))]
    fn cache_prune(
        py: Python<'_>,
        root: PathBuf,
        unused_for: Option<f64>,
        size: Option<u64>,
        on_event: Py<PyAny>,
    ) -> PyResult<u64> {
        let unused_for = unused_for.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
        let limits = crate::commands::prune::Limits { unused_for, size };
        super::run_with(py, on_event, |observer| crate::commands::prune::prune(&root, limits, observer))
    }

    /// Lets every user read the cache.
    #[pyfunction]
    fn cache_share(py: Python<'_>, root: PathBuf) -> PyResult<()> {
        super::run(py, || crate::commands::prune::share(&root))
    }

    /// Writes what one interpreter's store holds into a file; returns how many artifacts and bytes.
    #[pyfunction]
    fn cache_export(
        py: Python<'_>,
        root: PathBuf,
        interpreter: &Bound<'_, PyDict>,
        file: PathBuf,
        on_event: Py<PyAny>,
    ) -> PyResult<(usize, u64)> {
        let interpreter = super::interpreter(interpreter)?;
        let load = super::run_with(py, on_event, |observer| {
            crate::commands::bundle::export(&root, &interpreter, &file, observer)
        })?;
        Ok((load.artifacts, load.bytes))
    }

    /// Takes over what such a file holds, all of it verified; returns how many artifacts and bytes.
    #[pyfunction]
    fn cache_import(
        py: Python<'_>,
        root: PathBuf,
        interpreter: &Bound<'_, PyDict>,
        file: PathBuf,
        on_event: Py<PyAny>,
    ) -> PyResult<(usize, u64)> {
        let interpreter = super::interpreter(interpreter)?;
        let load = super::run_with(py, on_event, |observer| {
            crate::commands::bundle::import(&root, &interpreter, &file, observer)
        })?;
        Ok((load.artifacts, load.bytes))
    }

    /// Calls `look` now, and whenever something changes in the folders that it returns; until it raises.
    #[pyfunction]
    fn watch(py: Python<'_>, look: Py<PyAny>) -> PyResult<()> {
        super::watch(py, look)
    }

    /// Device and inode of the open files that a forked child has to close: they are its parent's alone.
    #[pyfunction]
    fn inherited_files() -> Vec<(u64, u64)> {
        crate::base::fork_guard::inherited()
    }

    /// Where the tools are, and their versions.
    #[pyfunction]
    fn tools(
        py: Python<'_>,
        request: &Bound<'_, PyDict>,
        on_event: Py<PyAny>,
    ) -> PyResult<Vec<(&'static str, Option<String>)>> {
        let request = super::request(request)?;
        super::run_with(py, on_event, |observer| Ok(ensure::tools(&request, observer)))
    }

    /// What the nearest `pyproject.toml` sets: its path, and the values by their names.
    #[pyfunction]
    fn project_settings(py: Python<'_>, folder: PathBuf) -> PyResult<Option<crate::env::settings::ProjectSettings>> {
        super::run(py, || crate::env::settings::of_project(&folder))
    }

    /// The table `[project]` of a `pyproject.toml`, as JSON.
    #[pyfunction]
    fn project_table(py: Python<'_>, path: PathBuf) -> PyResult<String> {
        super::run(py, || Ok(serde_json::to_string(&crate::env::settings::project_table(&path)?).unwrap_or_default()))
    }

    /// Whether a script without a marker is a module named like its file, and no part of a crate.
    #[pyfunction]
    fn is_module(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
        py.detach(|| catch(|| ensure::is_module(&path))).map_err(|panic| super::to_bug_report(py, &panic))
    }
}

/// Runs without the GIL what needs no callback.
fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    match py.detach(|| catch(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(to_exception(py, error)),
        Err(panic) => Err(to_bug_report(py, &panic)),
    }
}

/// Runs without the GIL what tells events, and asks whether to go on.
fn run_with<T: Send>(
    py: Python<'_>,
    on_event: Py<PyAny>,
    work: impl FnOnce(&mut dyn Observer) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let mut observer = PythonObserver { on_event, raised: None };
    let children = Children::of(py)?;
    let lock = ImportLock::release(py);
    let result = py.detach(|| catch(|| work(&mut observer)));
    drop(lock);
    drop(children);
    // What a signal handler or the callback raised is what the caller gets.
    if let Some(raised) = observer.raised {
        return Err(raised);
    }
    match result {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(to_exception(py, error)),
        Err(panic) => Err(to_bug_report(py, &panic)),
    }
}

/// The lock that Python holds while a finder looks for a module: imports and forks of all other threads would wait for
/// a build. Released until dropped.
struct ImportLock<'py> {
    imp: Option<Bound<'py, PyModule>>,
    depth: u32,
}

impl<'py> ImportLock<'py> {
    fn release(py: Python<'py>) -> Self {
        let imp = py.import("_imp").ok();
        let mut depth = 0;
        // Refused to who does not hold it.
        while depth < 1000 && imp.as_ref().is_some_and(|imp| imp.call_method0("release_lock").is_ok()) {
            depth += 1;
        }
        Self { imp, depth }
    }
}

impl Drop for ImportLock<'_> {
    fn drop(&mut self) {
        for _ in 0..self.depth {
            let _ = self.imp.as_ref().map(|imp| imp.call_method0("acquire_lock"));
        }
    }
}

/// Where an application ignores `SIGCHLD`, so do its children, which then cannot wait for theirs. Set right until
/// dropped.
struct Children<'py> {
    signal: Option<(Bound<'py, PyModule>, i32, Py<PyAny>)>,
}

impl<'py> Children<'py> {
    fn of(py: Python<'py>) -> PyResult<Self> {
        let signal = py.import("_signal")?;
        let (Ok(number), Ok(ignored)) = (signal.getattr("SIGCHLD"), signal.getattr("SIG_IGN")) else {
            return Ok(Self { signal: None });
        };
        let number: i32 = number.extract()?;
        if !signal.call_method1("getsignal", (number,))?.eq(&ignored)? {
            return Ok(Self { signal: None });
        }
        if signal.call_method1("signal", (number, signal.getattr("SIG_DFL")?)).is_err() {
            let message = "this process ignores SIGCHLD, so that no build can wait for its compiler";
            let hint = "import it once in the main thread, or call signal.signal(signal.SIGCHLD, signal.SIG_DFL)";
            return Err(to_exception(py, Error::toolchain(message, hint)));
        }
        Ok(Self { signal: Some((signal, number, ignored.unbind())) })
    }
}

impl Drop for Children<'_> {
    fn drop(&mut self) {
        if let Some((signal, number, ignored)) = self.signal.take() {
            let _ = signal.call_method1("signal", (number, ignored));
        }
    }
}

/// Looks, and watches what the look says, until it raises or a signal arrives.
fn watch(py: Python<'_>, look: Py<PyAny>) -> PyResult<()> {
    let looked = look.clone_ref(py);
    let mut raised = None;
    let mut folders = || {
        Python::attach(|py| looked.bind(py).call0()?.extract()).map_err(|error| {
            raised = Some(error);
            Error::Interrupted
        })
    };
    let result = run_with(py, look, |observer| crate::commands::watch::watch(&mut folders, observer));
    raised.map_or(result, Err)
}

/// Plain values for whoever shows them.
fn inventory<'py>(
    py: Python<'py>,
    root: &std::path::Path,
    found: Vec<crate::commands::prune::Interpreter>,
) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    all.set_item("path", root.as_os_str())?;
    all.set_item("bytes", found.iter().map(|interpreter| interpreter.bytes).sum::<u64>())?;
    let mut interpreters = Vec::new();
    for interpreter in found {
        let dict = PyDict::new(py);
        dict.set_item("key", interpreter.key)?;
        dict.set_item("bytes", interpreter.bytes)?;
        dict.set_item("lanes", interpreter.slots)?;
        dict.set_item("store", interpreter.store)?;
        let environments = interpreter.environments.iter().map(|prefix| prefix.as_os_str());
        dict.set_item("environments", environments.collect::<Vec<_>>())?;
        let mut entries = Vec::new();
        for entry in interpreter.entries {
            let used = entry.used.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let dict = PyDict::new(py);
            dict.set_item("name", entry.name)?;
            dict.set_item("source", entry.source.as_ref().map(|source| source.as_os_str()))?;
            dict.set_item("exists", entry.exists)?;
            dict.set_item("bytes", entry.bytes)?;
            dict.set_item("used", used)?;
            entries.push(dict);
        }
        dict.set_item("sources", entries)?;
        interpreters.push(dict);
    }
    all.set_item("interpreters", interpreters)?;
    Ok(all)
}

/// A panic must not take the interpreter down, nor pass as an exception that `except Exception` misses.
fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

struct PythonObserver {
    on_event: Py<PyAny>,
    /// What the callback or a signal handler raised.
    raised: Option<PyErr>,
}

impl Observer for PythonObserver {
    fn event(&mut self, event: Event) {
        if self.raised.is_some() {
            return;
        }
        self.raised = Python::attach(|py| {
            let details = PyDict::new(py);
            let name = fill(&details, event)?;
            self.on_event.call(py, (name,), Some(&details)).map(drop)
        })
        .err();
    }

    fn check(&mut self) -> Result<(), Error> {
        if self.raised.is_none() {
            // Signals arrive in the main thread only; others are told by the callback.
            self.raised = Python::attach(|py| -> PyResult<()> {
                // A signal may also be handled, and raise, while Python answers that.
                if let Some(cancelled) = self.on_event.bind(py).getattr_opt("is_cancelled")?
                    && cancelled.is_truthy()?
                {
                    return Err(pyo3::exceptions::PyKeyboardInterrupt::new_err(()));
                }
                py.check_signals()
            })
            .err();
        }
        if self.raised.is_some() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

fn fill(details: &Bound<'_, PyDict>, event: Event) -> PyResult<&'static str> {
    Ok(match event {
        Event::Log { message } => {
            details.set_item("message", without_secrets(&message))?;
            "log"
        }
        Event::Notice { message } => {
            details.set_item("message", without_secrets(&message))?;
            "notice"
        }
        Event::Waiting { what } => {
            details.set_item("what", what)?;
            "waiting"
        }
        Event::Started { reason } => {
            details.set_item("reason", reason)?;
            "started"
        }
        Event::Progress { done, total, what } => {
            details.set_item("done", done)?;
            details.set_item("total", total)?;
            details.set_item("what", what)?;
            "progress"
        }
        Event::Warning(warning) => {
            details.set_item("diagnostic", diagnostic(details.py(), &warning)?)?;
            "warning"
        }
        Event::Finished { seconds } => {
            details.set_item("seconds", seconds)?;
            "finished"
        }
        Event::Failed { seconds } => {
            details.set_item("seconds", seconds)?;
            "failed"
        }
    })
}

fn kind(name: &str) -> PyResult<SourceKind> {
    match name {
        "script" => Ok(SourceKind::Script),
        "crate" => Ok(SourceKind::Crate),
        "project" => Ok(SourceKind::Project),
        other => Err(PyValueError::new_err(format!("no kind of source: {other:?}"))),
    }
}

fn request(dict: &Bound<'_, PyDict>) -> PyResult<Request> {
    let kind: String = item(dict, "kind")?;
    let settings: Bound<'_, PyDict> = item(dict, "settings")?;
    let interpreter: Bound<'_, PyDict> = item(dict, "interpreter")?;
    let cell: Option<Bound<'_, PyDict>> = item(dict, "cell")?;
    let installed: Option<PathBuf> = item(dict, "installed")?;
    let lock_timeout: Option<f64> = item(dict, "lock_timeout")?;
    Ok(Request {
        kind: self::kind(&kind)?,
        root: item(dict, "root")?,
        // Names that are no text are refused together with their paths.
        module: lossy(dict, "module")?,
        installed: installed
            .map(|dist_info| Ok::<_, PyErr>(Installed { dist_info, automatic: item(dict, "automatic")? }))
            .transpose()?,
        files: item(dict, "files")?,
        cell: cell
            .map(|cell| Ok::<_, PyErr>(Cell { folder: item(&cell, "folder")?, manifest: item(&cell, "manifest")? }))
            .transpose()?,
        cache: item(dict, "cache")?,
        shared_cache: item(dict, "shared_cache")?,
        entry: lossy(dict, "entry")?,
        context: item(dict, "context")?,
        settings: Settings {
            profile: item(&settings, "profile")?,
            pyo3: item(&settings, "pyo3")?,
            cargo: item(&settings, "cargo")?,
            maturin: item(&settings, "maturin")?,
            arguments: Arguments {
                cargo: item(&settings, "cargo_arguments")?,
                build: item(&settings, "build_arguments")?,
                develop: item(&settings, "develop_arguments")?,
                rustc: item(&settings, "rustc_arguments")?,
                target: item(&settings, "target")?,
            },
        },
        interpreter: self::interpreter(&interpreter)?,
        marked: item(dict, "marked")?,
        in_place: item(dict, "in_place")?,
        wheels: item(dict, "wheels")?,
        force: item(dict, "force")?,
        lock_timeout: Timeout {
            // Beyond what a Duration can hold is for ever.
            limit: lock_timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()),
            from_life: item(dict, "lock_timeout_from_life")?,
        },
    })
}

fn interpreter(dict: &Bound<'_, PyDict>) -> PyResult<Interpreter> {
    Ok(Interpreter {
        key: item(dict, "key")?,
        implementation: item(dict, "implementation")?,
        version: item(dict, "version")?,
        extension_suffix: item(dict, "extension_suffix")?,
        base_prefix: item(dict, "base_prefix")?,
        pointer_width: item(dict, "pointer_width")?,
        build_flags: item(dict, "build_flags")?,
        script_folders: item(dict, "script_folders")?,
        prefix: item(dict, "prefix")?,
        c_library: item(dict, "c_library")?,
        siphash13: item(dict, "siphash13")?,
    })
}

fn lossy(dict: &Bound<'_, PyDict>, key: &str) -> PyResult<String> {
    item(dict, key).map(|text: std::ffi::OsString| text.to_string_lossy().into_owned())
}

fn item<'py, T>(dict: &Bound<'py, PyDict>, key: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let value = dict.get_item(key)?.ok_or_else(|| PyKeyError::new_err(key.to_owned()))?;
    let extracted: PyResult<T> = value.extract().map_err(Into::into);
    extracted.map_err(|error| PyValueError::new_err(format!("{key}: {error}")))
}

fn outcome<'py>(py: Python<'py>, outcome: &Outcome) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("artifact", outcome.artifact.as_os_str())?;
    dict.set_item("reason", outcome.reason.as_deref())?;
    dict.set_item("built", outcome.built)?;
    dict.set_item("seconds", outcome.seconds)?;
    let roots: Vec<_> = outcome.roots.iter().map(|root| root.as_os_str()).collect();
    dict.set_item("roots", roots)?;
    Ok(dict)
}

/// `rustimport.errors.Diagnostic`
fn diagnostic<'py>(py: Python<'py>, diagnostic: &Diagnostic) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    fields.set_item("level", &diagnostic.level)?;
    fields.set_item("code", diagnostic.code.as_deref())?;
    fields.set_item("message", without_secrets(&diagnostic.message))?;
    fields.set_item("file", diagnostic.file.as_ref().map(|file| file.as_os_str()))?;
    fields.set_item("line", diagnostic.line)?;
    fields.set_item("column", diagnostic.column)?;
    fields.set_item("rendered", without_secrets(&diagnostic.rendered))?;
    fields.set_item("rendered_ansi", without_secrets(&diagnostic.rendered_ansi))?;
    py.import("rustimport.errors")?.getattr("Diagnostic")?.call((), Some(&fields))
}

/// The exception of `rustimport.errors` for an error. Should even that fail, its failure.
fn to_exception(py: Python<'_>, error: Error) -> PyErr {
    exception(py, error).unwrap_or_else(|failure| failure)
}

fn exception(py: Python<'_>, error: Error) -> PyResult<PyErr> {
    let message = without_secrets(&error.to_string());
    let fields = PyDict::new(py);
    let (class, hint) = match error {
        Error::Build(failure) => {
            let diagnostics: PyResult<Vec<_>> = failure.diagnostics.iter().map(|found| diagnostic(py, found)).collect();
            fields.set_item("diagnostics", diagnostics?)?;
            fields.set_item("rendered", without_secrets(&failure.rendered))?;
            let command: Vec<String> = failure.command.iter().map(|word| without_secrets(word)).collect();
            fields.set_item("command", command)?;
            fields.set_item("returncode", failure.returncode)?;
            ("BuildError", failure.hint)
        }
        Error::Toolchain { hint, .. } => ("ToolchainError", hint),
        Error::Lock { hint, .. } => ("LockTimeout", hint),
        Error::Project { hint, path, .. } => {
            fields.set_item("path", path.as_os_str())?;
            ("ProjectError", hint)
        }
        Error::Cache { hint, path, .. } => {
            fields.set_item("path", path.as_os_str())?;
            ("CacheError", hint)
        }
        Error::Interrupted => ("RustImportError", "import again".into()),
    };
    fields.set_item("hint", without_secrets(&hint))?;
    let class = py.import("rustimport.errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call((message,), Some(&fields))?))
}

fn to_bug_report(py: Python<'_>, panic: &str) -> PyErr {
    let report = || {
        let fields = PyDict::new(py);
        fields.set_item(
            "hint",
            "this is a bug in rustimport: please report it, with what is printed above and `python -m rustimport info`",
        )?;
        let class = py.import("rustimport.errors")?.getattr("RustImportError")?;
        Ok(PyErr::from_value(
            class.call((format!("rustimport failed within itself: {}", without_secrets(panic)),), Some(&fields))?,
        ))
    };
    report().unwrap_or_else(|failure: PyErr| failure)
}
