//! The module `rustimport._core`: each function converts its arguments, calls one function of the core, and converts
//! the result. It decides nothing.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::ensure;
use crate::env::interpreter::Interpreter;
use crate::env::request::Request;
use crate::py::call;
use crate::py::convert::{InterpreterItems, InventoryItems, OutcomeItems, RequestItems};

#[pymodule]
#[allow(clippy::needless_pass_by_value, reason = "that is how arguments come")]
mod _core {
    use super::{
        Interpreter, InterpreterItems, InventoryItems, OutcomeItems, PathBuf, Py, PyAny, PyResult, Python, Request,
        RequestItems, call, ensure, pyfunction,
    };

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name that Python asks for")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Returns the artifact of a source, built if it was stale.
    #[pyfunction]
    #[pyo3(name = "ensure")]
    fn py_ensure(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<OutcomeItems> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| ensure::ensure(&request, observer)).map(Into::into)
    }

    /// Writes a cell's text into the cache. Returns its file, and the module that it declares itself.
    #[pyfunction]
    fn write_cell(
        py: Python<'_>,
        root: PathBuf,
        text: &str,
        manifest: &str,
    ) -> PyResult<crate::sources::cell::Written> {
        call::detached(py, || crate::sources::cell::write(&root, text, manifest))
    }

    /// A copy of what is installed of a project, at a path that was never loaded.
    #[pyfunction]
    fn copy_installed(
        py: Python<'_>,
        request: RequestItems,
        artifact: PathBuf,
        on_event: Py<PyAny>,
    ) -> PyResult<PathBuf> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| ensure::copy_installed(&request, &artifact, observer))
    }

    /// The folders of the packages on this machine that a project is made of.
    #[pyfunction]
    fn local_packages(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<Vec<PathBuf>> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| ensure::local_packages(&request, observer))
    }

    /// Whether all files of a stamp have the stats that stand there.
    #[pyfunction]
    fn files_are_unchanged(stamp: &[u8]) -> bool {
        call::catch(|| crate::freshness::stamp::files_are_unchanged(stamp)).unwrap_or(false)
    }

    /// The maturin that a build would use.
    #[pyfunction]
    fn find_maturin(py: Python<'_>, request: RequestItems) -> PyResult<PathBuf> {
        let request = Request::from(request);
        call::detached(py, || crate::build::maturin::find_maturin(&request))
    }

    /// The index of the editable projects in some site folders, written to a file if that can be written.
    #[pyfunction]
    fn index_projects(
        py: Python<'_>,
        folders: Vec<PathBuf>,
        file: PathBuf,
        interpreter: InterpreterItems,
    ) -> PyResult<Vec<u8>> {
        let interpreter = Interpreter::from(interpreter);
        call::detached(py, || Ok(crate::projects::index::index(&folders, &file, &interpreter).into_bytes()))
    }

    /// The same, with all projects that could be installed: those of some folders, and those that stand above others.
    #[pyfunction]
    fn index_all_projects(py: Python<'_>, folders: Vec<PathBuf>, entries: Vec<PathBuf>) -> PyResult<Vec<u8>> {
        call::detached(py, || Ok(crate::projects::index::index_all(&folders, &entries).into_bytes()))
    }

    /// The same, and puts it beside the source.
    #[pyfunction]
    fn ensure_in_place(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<OutcomeItems> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| ensure::ensure_in_place(&request, observer)).map(Into::into)
    }

    /// Why the artifact beside a source is stale, or `None`.
    #[pyfunction]
    fn check_in_place(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<Option<String>> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| ensure::check_in_place(&request, observer))
    }

    /// Sources in folders, and among them.
    #[pyfunction]
    fn discover(py: Python<'_>, paths: Vec<PathBuf>, opt_in: bool, are_named: bool) -> PyResult<Vec<PathBuf>> {
        call::detached(py, || crate::commands::discover::sources(&paths, opt_in, are_named))
    }

    /// Writes the C header of a source; returns whether it was not there already.
    #[pyfunction]
    fn write_header(py: Python<'_>, source: PathBuf, header: PathBuf, force: bool) -> PyResult<bool> {
        call::detached(py, || crate::script::c_header::write(&source, &header, force))
    }

    /// The template that a source asks for, by its name.
    #[pyfunction]
    fn template(py: Python<'_>, source: PathBuf) -> PyResult<Option<&'static str>> {
        call::detached(py, || {
            let template =
                if source.is_dir() { None } else { crate::script::parse::Script::read(&source)?.header.template };
            Ok(template.map(crate::script::header::Template::name))
        })
    }

    /// Writes a new source of a kind, made of a script if there is one, and returns what was written.
    #[pyfunction]
    #[pyo3(signature = (path, kind, script))]
    fn scaffold(py: Python<'_>, path: PathBuf, kind: &str, script: Option<PathBuf>) -> PyResult<Vec<PathBuf>> {
        let kind = crate::py::convert::kind(kind)?;
        call::detached(py, || crate::commands::scaffold::source(&path, kind, script.as_deref()))
    }

    /// What stands in a `sitecustomize.py`: our block's arguments, and whether the predecessor's is there.
    #[pyfunction]
    fn site_look(py: Python<'_>, path: PathBuf) -> PyResult<(Option<String>, bool)> {
        let found = call::detached(py, || Ok(crate::commands::site::inspect(&path)))?;
        Ok((found.arguments, found.predecessor))
    }

    /// Writes our block into a `sitecustomize.py`.
    #[pyfunction]
    fn site_install(py: Python<'_>, path: PathBuf, arguments: &str) -> PyResult<()> {
        call::detached(py, || crate::commands::site::install(&path, arguments))
    }

    /// Takes our block out again.
    #[pyfunction]
    fn site_uninstall(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
        call::detached(py, || crate::commands::site::uninstall(&path))
    }

    /// Puts back what stood in a `sitecustomize.py`.
    #[pyfunction]
    #[pyo3(signature = (path, content))]
    fn site_restore(py: Python<'_>, path: PathBuf, content: Option<Vec<u8>>) -> PyResult<()> {
        call::detached(py, || crate::commands::site::restore(&path, content.as_deref()))
    }

    /// Writes the `.pth` file, and the module that it imports.
    #[pyfunction]
    fn site_install_pth(py: Python<'_>, path: PathBuf, module: PathBuf, arguments: &str) -> PyResult<()> {
        call::detached(py, || crate::commands::site::install_pth(&path, &module, arguments))
    }

    /// Writes the `.start` file, and the module that it names.
    #[pyfunction]
    fn site_install_start(py: Python<'_>, path: PathBuf, module: PathBuf, arguments: &str) -> PyResult<()> {
        call::detached(py, || crate::commands::site::install_start(&path, &module, arguments))
    }

    /// What is in the cache.
    #[pyfunction]
    fn cache_info(py: Python<'_>, root: PathBuf) -> PyResult<InventoryItems> {
        let found = call::detached(py, || Ok(crate::commands::prune::take(&root)))?;
        Ok(InventoryItems::new(root, found))
    }

    /// Creates what is missing of an interpreter's part of the cache, and returns where it is.
    #[pyfunction]
    fn cache_create(py: Python<'_>, root: PathBuf, interpreter: InterpreterItems) -> PyResult<PathBuf> {
        let interpreter = Interpreter::from(interpreter);
        call::detached(py, || crate::commands::prune::create(&root, &interpreter))
    }

    /// Removes what is in the cache, of one interpreter or of all; returns the bytes that are free now.
    #[pyfunction]
    #[pyo3(signature = (root, key, on_event))]
    fn cache_clear(py: Python<'_>, root: PathBuf, key: Option<String>, on_event: Py<PyAny>) -> PyResult<u64> {
        call::observed(py, on_event, |observer| crate::commands::prune::clear(&root, key.as_deref(), observer))
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
        call::observed(py, on_event, |observer| crate::commands::prune::prune(&root, limits, observer))
    }

    /// Lets every user read the cache.
    #[pyfunction]
    fn cache_share(py: Python<'_>, root: PathBuf) -> PyResult<()> {
        call::detached(py, || crate::commands::prune::share(&root))
    }

    /// Writes what one interpreter's store holds into a file; returns how many artifacts and bytes.
    #[pyfunction]
    fn cache_export(
        py: Python<'_>,
        root: PathBuf,
        interpreter: InterpreterItems,
        file: PathBuf,
        on_event: Py<PyAny>,
    ) -> PyResult<(usize, u64)> {
        let interpreter = Interpreter::from(interpreter);
        let load = call::observed(py, on_event, |observer| {
            crate::commands::bundle::export(&root, &interpreter, &file, observer)
        })?;
        Ok((load.artifacts, load.bytes))
    }

    /// Takes over what such a file holds, all of it verified; returns how many artifacts and bytes.
    #[pyfunction]
    fn cache_import(
        py: Python<'_>,
        root: PathBuf,
        interpreter: InterpreterItems,
        file: PathBuf,
        on_event: Py<PyAny>,
    ) -> PyResult<(usize, u64)> {
        let interpreter = Interpreter::from(interpreter);
        let load = call::observed(py, on_event, |observer| {
            crate::commands::bundle::import(&root, &interpreter, &file, observer)
        })?;
        Ok((load.artifacts, load.bytes))
    }

    /// Calls `look` now, and whenever something changes in the folders that it returns; until it raises.
    #[pyfunction]
    fn watch(py: Python<'_>, find: Py<PyAny>) -> PyResult<()> {
        call::watch(py, find)
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
        request: RequestItems,
        on_event: Py<PyAny>,
    ) -> PyResult<Vec<(&'static str, Option<String>)>> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| Ok(ensure::tools(&request, observer)))
    }

    /// What the nearest `pyproject.toml` sets: its path, and the values by their names.
    #[pyfunction]
    fn project_settings(py: Python<'_>, folder: PathBuf) -> PyResult<Option<crate::env::settings::ProjectSettings>> {
        call::detached(py, || crate::env::settings::of_project(&folder))
    }

    /// The table `[project]` of a `pyproject.toml`, as JSON.
    #[pyfunction]
    fn project_table(py: Python<'_>, path: PathBuf) -> PyResult<String> {
        call::detached(py, || {
            Ok(serde_json::to_string(&crate::env::settings::project_table(&path)?).unwrap_or_default())
        })
    }

    /// Whether a script without a marker is a module named like its file, and no part of a crate.
    #[pyfunction]
    fn is_module(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
        call::detached(py, || Ok(crate::sources::opt_in::is_module(&path)))
    }
}
