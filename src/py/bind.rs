//! The module `rustimport._core`: each function converts its arguments, calls one function of the core, and converts
//! the result. It decides nothing.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::ensure;
use crate::env::interpreter::Interpreter;
use crate::env::request::Request;
use crate::py::call;
use crate::py::convert::{DescriptionItems, InterpreterItems, InventoryItems, OutcomeItems, RemoteItems, RequestItems};
use crate::sources::script_versions::Versions;

#[pymodule]
#[allow(clippy::needless_pass_by_value, reason = "pyo3 passes arguments by value")]
mod _core {
    use super::{
        Bound, DescriptionItems, Interpreter, InterpreterItems, InventoryItems, OutcomeItems, PathBuf, Py, PyAny,
        PyResult, Python, RemoteItems, Request, RequestItems, Versions, call, ensure, pyfunction,
    };

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name that Python expects")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Returns the artifact of a source, built if it was stale.
    #[pyfunction]
    #[pyo3(name = "ensure")]
    fn py_ensure(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<OutcomeItems> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| ensure::ensure(&request, observer)).map(Into::into)
    }

    /// Writes a cell's text into the cache. Returns its file, and the name of the module that it declares, if any.
    #[pyfunction]
    fn write_cell(
        py: Python<'_>,
        root: PathBuf,
        text: &str,
        manifest: &str,
    ) -> PyResult<crate::sources::cell::Written> {
        call::detached(py, || crate::sources::cell::write(&root, text, manifest))
    }

    /// Copies a project's installed library to a path that was never loaded.
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

    /// Returns the folders of a project's local packages.
    #[pyfunction]
    fn local_packages(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<Vec<PathBuf>> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| ensure::local_packages(&request, observer))
    }

    /// Whether all files in a stamp have the recorded stats.
    #[pyfunction]
    fn files_are_unchanged(stamp: &[u8]) -> bool {
        call::catch(|| crate::freshness::stamp::files_are_unchanged(stamp)).unwrap_or(false)
    }

    /// Returns the type stubs of a module from pyo3's information in its library, with relative paths. `described` is
    /// what the module says of itself.
    #[pyfunction]
    #[pyo3(signature = (library, module, described))]
    fn stubs(
        py: Python<'_>,
        library: PathBuf,
        module: &str,
        described: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Vec<(String, String)>> {
        let described = described.as_ref().map(crate::py::convert::json).transpose()?;
        call::detached(py, || crate::commands::stubs::read(&library, module, described.as_ref()))
    }

    /// Returns the names of functions and classes that a library has type information about.
    #[pyfunction]
    fn typed_names(py: Python<'_>, library: PathBuf) -> PyResult<Vec<String>> {
        call::detached(py, || Ok(crate::commands::stubs::names(&library)))
    }

    /// Writes a file of the user's in one step, with the folders that it needs.
    #[pyfunction]
    fn write_file(py: Python<'_>, path: PathBuf, content: &str) -> PyResult<()> {
        call::detached(py, || crate::commands::stubs::write_file(&path, content))
    }

    /// Lists a file that was added to a project's installation, so that it is uninstalled with it.
    #[pyfunction]
    fn list_installed(py: Python<'_>, root: PathBuf, dist_info: PathBuf, path: PathBuf) -> PyResult<()> {
        call::detached(py, || crate::commands::stubs::list(&root, &dist_info, &path))
    }

    /// Writes the package of a script for rust-analyzer and cargo. Returns its manifest, whether the user's file is the
    /// root of the library, and cargo.
    #[pyfunction]
    fn write_for_rust_tools(
        py: Python<'_>,
        request: RequestItems,
        python: PathBuf,
        starts_python: bool,
        on_event: Py<PyAny>,
    ) -> PyResult<(PathBuf, bool, PathBuf)> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| {
            ensure::write_for_rust_tools(&request, &python, starts_python, observer)
        })
    }

    /// Returns the path of the maturin that a build would use.
    #[pyfunction]
    fn find_maturin(py: Python<'_>, request: RequestItems) -> PyResult<PathBuf> {
        let request = Request::from(request);
        call::detached(py, || crate::build::maturin::find_maturin(&request))
    }

    /// Returns the index of the editable projects in site folders, and writes it to a file if possible.
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

    /// Returns the index of all projects that could be installed: those in site folders, and those in parent folders of
    /// `entries`.
    #[pyfunction]
    fn index_all_projects(py: Python<'_>, folders: Vec<PathBuf>, entries: Vec<PathBuf>) -> PyResult<Vec<u8>> {
        call::detached(py, || Ok(crate::projects::index::index_all(&folders, &entries).into_bytes()))
    }

    /// Like `ensure`, and copies the artifact next to the source.
    #[pyfunction]
    fn ensure_in_place(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<OutcomeItems> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| ensure::ensure_in_place(&request, observer)).map(Into::into)
    }

    /// Returns why the artifact next to a source is stale, or `None`.
    #[pyfunction]
    fn check_in_place(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<Option<String>> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| ensure::check_in_place(&request, observer))
    }

    /// Updates the versions of a source's dependencies. Returns what moved.
    #[pyfunction]
    fn update_versions(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<Vec<String>> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| crate::commands::update::run(&request, observer))
    }

    /// Returns the sources among paths, and in the folders among them.
    #[pyfunction]
    fn discover(py: Python<'_>, paths: Vec<PathBuf>, opt_in: bool, are_named: bool) -> PyResult<Vec<PathBuf>> {
        call::detached(py, || crate::commands::discover::sources(&paths, opt_in, are_named))
    }

    /// Returns the `.rs` files without a marker in the folders among paths.
    #[pyfunction]
    fn passed_over(py: Python<'_>, paths: Vec<PathBuf>) -> PyResult<Vec<PathBuf>> {
        call::detached(py, || Ok(crate::commands::discover::passed_over(&paths)))
    }

    /// Writes the lock file of a script, or completes it; if `newest`, all versions are chosen again. Returns whether it
    /// had to be changed.
    #[pyfunction]
    fn write_lock(py: Python<'_>, request: RequestItems, newest: bool, on_event: Py<PyAny>) -> PyResult<bool> {
        let request = Request::from(request);
        let versions = if newest { Versions::Newest } else { Versions::Locked };
        call::observed(py, on_event, |observer| crate::commands::lock::write(&request, versions, observer))
    }

    /// Raises an error if a script has no lock file, or one that does not match its dependencies.
    #[pyfunction]
    fn check_lock(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<()> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| crate::commands::lock::check(&request, observer))
    }

    /// Writes the C header of a source. Returns whether the file had to be changed.
    #[pyfunction]
    fn write_header(py: Python<'_>, source: PathBuf, header: PathBuf, force: bool) -> PyResult<bool> {
        call::detached(py, || crate::script::c_header::write(&source, &header, force))
    }

    /// Returns the name of a source's template, if any.
    #[pyfunction]
    fn template(py: Python<'_>, source: PathBuf) -> PyResult<Option<&'static str>> {
        call::detached(py, || {
            let template =
                if source.is_dir() { None } else { crate::script::parse::Script::read(&source)?.header.template };
            Ok(template.map(crate::script::header::Template::name))
        })
    }

    /// Writes a new source of a kind, from a script if one is given. Returns the paths that were written.
    #[pyfunction]
    #[pyo3(signature = (path, kind, script))]
    fn scaffold(py: Python<'_>, path: PathBuf, kind: &str, script: Option<PathBuf>) -> PyResult<Vec<PathBuf>> {
        let kind = crate::py::convert::kind(kind)?;
        call::detached(py, || crate::commands::scaffold::source(&path, kind, script.as_deref()))
    }

    /// Reads a `sitecustomize.py`. Returns the arguments of our block, and whether it has one of `maturin_import_hook`.
    #[pyfunction]
    fn site_look(py: Python<'_>, path: PathBuf) -> PyResult<(Option<String>, bool)> {
        let found = call::detached(py, || Ok(crate::commands::site::inspect(&path)))?;
        Ok((found.arguments, found.predecessor))
    }

    /// Whether a file contains the hook with these arguments, as this version writes it.
    #[pyfunction]
    fn site_has(py: Python<'_>, path: PathBuf, arguments: &str) -> PyResult<bool> {
        call::detached(py, || Ok(crate::commands::site::has(&path, arguments)))
    }

    /// Writes our block into a `sitecustomize.py`.
    #[pyfunction]
    fn site_install(py: Python<'_>, path: PathBuf, arguments: &str) -> PyResult<()> {
        call::detached(py, || crate::commands::site::install(&path, arguments))
    }

    /// Removes our block from a `sitecustomize.py`. Returns whether there was one.
    #[pyfunction]
    fn site_uninstall(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
        call::detached(py, || crate::commands::site::uninstall(&path))
    }

    /// Restores the content of a `sitecustomize.py`; `None` removes it.
    #[pyfunction]
    #[pyo3(signature = (path, content))]
    fn site_restore(py: Python<'_>, path: PathBuf, content: Option<Vec<u8>>) -> PyResult<()> {
        call::detached(py, || crate::commands::site::restore(&path, content.as_deref()))
    }

    /// Writes the `.pth` file and the module that it imports.
    #[pyfunction]
    fn site_install_pth(py: Python<'_>, path: PathBuf, module: PathBuf, arguments: &str) -> PyResult<()> {
        call::detached(py, || crate::commands::site::install_pth(&path, &module, arguments))
    }

    /// Writes the `.start` file and the module that it names.
    #[pyfunction]
    fn site_install_start(py: Python<'_>, path: PathBuf, module: PathBuf, arguments: &str) -> PyResult<()> {
        call::detached(py, || crate::commands::site::install_start(&path, &module, arguments))
    }

    /// Returns the contents of the cache.
    #[pyfunction]
    fn cache_info(py: Python<'_>, root: PathBuf) -> PyResult<InventoryItems> {
        let found = call::detached(py, || Ok(crate::commands::prune::take(&root)))?;
        Ok(InventoryItems::new(root, found))
    }

    /// Creates an interpreter's part of the cache if it does not exist, and returns its path.
    #[pyfunction]
    fn cache_create(py: Python<'_>, root: PathBuf, interpreter: InterpreterItems) -> PyResult<PathBuf> {
        let interpreter = Interpreter::from(interpreter);
        call::detached(py, || crate::commands::prune::create(&root, &interpreter))
    }

    /// Removes the cache of one interpreter or of all. Returns the number of freed bytes.
    #[pyfunction]
    #[pyo3(signature = (root, key, on_event))]
    fn cache_clear(py: Python<'_>, root: PathBuf, key: Option<String>, on_event: Py<PyAny>) -> PyResult<u64> {
        call::observed(py, on_event, |observer| crate::commands::prune::clear(&root, key.as_deref(), observer))
    }

    /// Removes unusable parts of the cache, those that were not used for `unused_for` seconds, and the least recently
    /// used beyond `size` bytes. Returns the number of freed bytes.
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

    /// Makes the cache readable for all users.
    #[pyfunction]
    fn cache_share(py: Python<'_>, root: PathBuf) -> PyResult<()> {
        call::detached(py, || crate::commands::prune::share(&root))
    }

    /// Writes one interpreter's store to a file. Returns the number of artifacts and bytes.
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

    /// Imports such a file after verifying all of it. Returns the number of artifacts and bytes.
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

    /// Makes a key that signs for a remote store. Returns the public key, and the file of the secret one.
    #[pyfunction]
    fn remote_keygen(py: Python<'_>, configuration: PathBuf) -> PyResult<(String, PathBuf)> {
        call::detached(py, || crate::commands::remote::keygen(&configuration))
    }

    /// What the `pyproject.toml` of a folder says of a remote store: the folder of that file, the store's URL, the keys.
    #[pyfunction]
    fn remote_claim(py: Python<'_>, folder: PathBuf) -> PyResult<(PathBuf, Option<String>, Vec<String>)> {
        let claim = call::detached(py, || crate::commands::remote::claim(&folder))?;
        Ok((claim.folder, claim.remote, claim.trust))
    }

    /// Trusts exactly such values, or no longer.
    #[pyfunction]
    fn remote_trust(
        py: Python<'_>,
        configuration: PathBuf,
        folder: PathBuf,
        remote: Option<String>,
        trust: Vec<String>,
        is_trusted: bool,
    ) -> PyResult<()> {
        let claim = crate::remote::trust::Claim { folder, remote, trust };
        call::detached(py, || crate::remote::trust::decide(&configuration, &claim, is_trusted))
    }

    /// Describes the remote store for sources in a folder; if `is_tried`, it is also accessed.
    #[pyfunction]
    fn remote_describe(
        py: Python<'_>,
        settings: RemoteItems,
        interpreter: InterpreterItems,
        folder: PathBuf,
        is_tried: bool,
        on_event: Py<PyAny>,
    ) -> PyResult<DescriptionItems> {
        let (settings, interpreter) = (settings.into(), Interpreter::from(interpreter));
        let found = call::observed(py, on_event, |observer| {
            Ok(crate::commands::remote::describe(&settings, &interpreter, &folder, is_tried, observer))
        })?;
        Ok(found.into())
    }

    /// Removes what is older than `age` seconds from the remote store. Returns the number of freed bytes.
    #[pyfunction]
    fn remote_prune(
        py: Python<'_>,
        settings: RemoteItems,
        interpreter: InterpreterItems,
        folder: PathBuf,
        age: f64,
    ) -> PyResult<u64> {
        let age = std::time::Duration::try_from_secs_f64(age).unwrap_or(std::time::Duration::MAX);
        let (settings, interpreter) = (settings.into(), Interpreter::from(interpreter));
        call::detached(py, || crate::commands::remote::prune(&settings, &interpreter, &folder, age))
    }

    /// Writes the artifact of a script or crate to its remote store, built if it is stale. Returns `written`, `present`
    /// or `stays`, and in the last case why.
    #[pyfunction]
    fn remote_push(
        py: Python<'_>,
        request: RequestItems,
        on_event: Py<PyAny>,
    ) -> PyResult<(&'static str, Option<String>)> {
        let request = Request::from(request);
        let pushed = call::observed(py, on_event, |observer| ensure::push(&request, observer))?;
        Ok(crate::py::convert::pushed(pushed))
    }

    /// Calls `find` now, and whenever something changes in the folders that it returns, until it raises.
    #[pyfunction]
    fn watch(py: Python<'_>, find: Py<PyAny>) -> PyResult<()> {
        call::watch(py, find)
    }

    /// Returns device and inode of the open files that a forked child has to close, because they belong to its parent.
    #[pyfunction]
    fn inherited_files() -> Vec<(u64, u64)> {
        crate::base::fork_guard::inherited()
    }

    /// Returns what is known of a source's last build, and what an import would do, as JSON (`commands/explain.rs`).
    #[pyfunction]
    fn explain(py: Python<'_>, request: RequestItems, on_event: Py<PyAny>) -> PyResult<String> {
        let request = Request::from(request);
        let found = call::observed(py, on_event, |observer| crate::commands::explain::explain(&request, observer))?;
        Ok(serde_json::to_string(&found).unwrap_or_default())
    }

    /// Returns the tools that a build would use, with their paths and versions.
    #[pyfunction]
    fn tools(
        py: Python<'_>,
        request: RequestItems,
        on_event: Py<PyAny>,
    ) -> PyResult<Vec<(&'static str, Option<String>)>> {
        let request = Request::from(request);
        call::observed(py, on_event, |observer| Ok(ensure::tools(&request, observer)))
    }

    /// Returns the path of the nearest `pyproject.toml`, and its settings by name.
    #[pyfunction]
    fn project_settings(py: Python<'_>, folder: PathBuf) -> PyResult<Option<crate::env::settings::ProjectSettings>> {
        call::detached(py, || crate::env::settings::of_project(&folder))
    }

    /// Returns the table `[project]` of a `pyproject.toml` as JSON.
    #[pyfunction]
    fn pyproject_table(py: Python<'_>, path: PathBuf, keys: Vec<String>) -> PyResult<String> {
        call::detached(py, || {
            Ok(serde_json::to_string(&crate::env::settings::pyproject_table(&path, &keys)?).unwrap_or_default())
        })
    }

    /// Whether a script without a marker is a module named like its file, and not part of a crate.
    #[pyfunction]
    fn is_module(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
        call::detached(py, || Ok(crate::sources::opt_in::is_module(&path)))
    }
}
