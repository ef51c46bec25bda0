//! Runs maturin for a project, in the same environment as `maturin develop` in the activated environment, so that each
//! reuses what the other has compiled. It does not decide what is installed; see [`crate::projects::project`].
//!
//! Usually a wheel is built and its library is put in place: that takes half the time of an installation, and replaces
//! the library in one step (`docs/decisions.md` has the figures). If more than modules changed, maturin installs.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::env_vars;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::base::process::{self, Priority};
use crate::base::programs::{cargo_home, home, program};
use crate::build::compile::{Built, Compiler};
use crate::build::maturin::find_maturin;
use crate::build::messages::{self, Messages};
use crate::build::runner::{self, Runner, text};
use crate::build::wheel::Wheel;
use crate::cache::layout::Entry;
use crate::env::request::Request;
use crate::env::settings::{BuildSettings, GENERATE_STUBS};
use crate::env::toolchain::Toolchain;
use crate::output::maturin::{Call, LOG, TEXT_MESSAGES};
use crate::package::krate;
use crate::package::manifest;
use crate::projects::answers::StandIn;
use crate::projects::dist_info::{self, DistInfo};
use crate::projects::installation::{Environment, Installation, pyproject_of};
use crate::projects::metadata::Metadata;

pub struct ProjectJob<'a> {
    request: &'a Request,
    installation: &'a Installation,
    settings: &'a BuildSettings,
    /// The project's folder in the cache.
    entry: &'a Entry,
    toolchain: &'a Toolchain,
    metadata: &'a Metadata,
    profile: &'a str,
    maturin: PathBuf,
    environment: Option<Environment>,
    /// The environment's interpreter, which maturin queries.
    python: PathBuf,
    stand_in: StandIn,
}

impl<'a> ProjectJob<'a> {
    pub fn new(
        request: &'a Request,
        installation: &'a Installation,
        settings: &'a BuildSettings,
        entry: &'a Entry,
        toolchain: &'a Toolchain,
        metadata: &'a Metadata,
        profile: &'a str,
    ) -> Result<Self> {
        let environment = installation.environment();
        let interpreter = &request.interpreter;
        let prefix = environment.as_ref().map_or(interpreter.base_prefix.as_path(), Environment::prefix);
        let python = interpreter.python_of(prefix).ok_or_else(|| {
            Error::toolchain(
                format!("there is no python in {}, which maturin needs to query", prefix.display()),
                "the environment is damaged: recreate it, and run `maturin develop` in it",
            )
        })?;
        let maturin = find_maturin(request)?;
        let stand_in = StandIn::in_folder(entry.home().join("python"), &python);
        Ok(Self {
            request,
            installation,
            settings,
            entry,
            toolchain,
            metadata,
            profile,
            maturin,
            environment,
            python,
            stand_in,
        })
    }

    fn build_command(&self, wheels: &Path) -> Command {
        let mut command = process::command(&self.maturin);
        command.args(["build", "-i"]).arg(self.stand_in.program()).args(self.settings.arguments.for_wheel());
        command.arg("--out").arg(wheels);
        self.add_arguments(&mut command);
        command
    }

    /// Adds the arguments that `build` and `develop` have in common.
    fn add_arguments(&self, command: &mut Command) {
        let arguments = &self.settings.arguments;
        self.add_profile(command);
        command.args(&arguments.cargo).args(&self.metadata.selection).args(&self.request.settings.run);
        if let Some(target) = &arguments.target {
            command.args(["--target", target]);
        }
        if !arguments.rustc.is_empty() {
            command.arg("--").args(&arguments.rustc);
        }
        self.set_environment(command);
    }

    fn add_profile(&self, command: &mut Command) {
        command.args(["--profile", self.profile]);
        // Our definition of the profile, if the workspace has none.
        let workspace = krate::manifest_in(&self.metadata.workspace);
        let is_defined = workspace.get("profile").is_some_and(|profiles| profiles.get(self.profile).is_some());
        for (key, value) in manifest::profile(self.profile).into_iter().filter(|_| !is_defined) {
            command.arg("--config").arg(format!("profile.{}.{key}={value}", self.profile));
        }
    }

    /// Sets the variables of the activated environment. Otherwise cargo would compile pyo3 again whenever you alternate
    /// between an import and `maturin develop`.
    fn set_environment(&self, command: &mut Command) {
        command.current_dir(&self.request.root);
        for name in [env_vars::CARGO, env_vars::CARGO_TERM_QUIET, env_vars::CARGO_TERM_VERBOSE] {
            command.env_remove(name);
        }
        let scripts = |prefix: &Path| self.request.interpreter.scripts_of(prefix);
        let mut folders: Vec<PathBuf> = self.environment.iter().map(|found| scripts(found.prefix())).collect();
        // The real tools before rustup's proxies, which saves 50 ms. The next `maturin develop` takes 45 ms longer,
        // once.
        let known = self.toolchain.path();
        folders.extend(std::env::split_paths(&known));
        folders.extend(self.uv().and_then(|uv| uv.parent().map(Path::to_owned)));
        let mut seen = std::collections::BTreeSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        let (virtual_env, conda_prefix) = match &self.environment {
            Some(Environment::Virtual(prefix)) => (Some(prefix), None),
            Some(Environment::Conda(prefix)) => (None, Some(prefix)),
            None => (None, None),
        };
        for (name, value) in [(env_vars::VIRTUAL_ENV, virtual_env), (env_vars::CONDA_PREFIX, conda_prefix)] {
            match value {
                Some(prefix) => command.env(name, prefix),
                None => command.env_remove(name),
            };
        }
        let log = env_vars::get_text(env_vars::RUST_LOG).filter(|log| !log.is_empty());
        command
            .env(env_vars::PATH, std::env::join_paths(folders).unwrap_or(known))
            .env(env_vars::RUST_LOG, log.map_or(LOG.into(), |log| format!("{log},{LOG}")))
            .env(env_vars::NO_COLOR, "1")
            .env(env_vars::CARGO_TERM_COLOR, "never")
            .env(env_vars::CARGO_TERM_PROGRESS_WHEN, "always")
            .env(env_vars::CARGO_TERM_PROGRESS_WIDTH, "80")
            .envs(self.metadata.relative_folders(&self.request.root));
    }

    /// Finds uv on `PATH`, where it is installed for this user, or next to the environment's programs.
    fn uv(&self) -> Option<PathBuf> {
        let usual = [home().map(|home| home.join(".local").join("bin")), cargo_home().map(|home| home.join("bin"))];
        let folders = usual.into_iter().flatten().chain(self.request.interpreter.script_folders.iter().cloned());
        let beside = folders.map(|folder| folder.join(program("uv"))).find(|path| path.is_file());
        which::which("uv").ok().or(beside)
    }

    /// Whether uv installs in this environment: if uv created it or there is no pip, and there is a uv.
    fn wants_uv(&self) -> bool {
        let has_uv = || self.uv().is_some() || self.installation.site().join("uv").is_dir();
        (self.environment.as_ref().is_some_and(Environment::is_uv) || !self.has_pip()) && has_uv()
    }

    fn has_pip(&self) -> bool {
        self.installation.site().join("pip").is_dir()
    }

    fn check_installer(&self, wants_uv: bool, reason: &str, observer: &mut dyn Observer) -> Result<()> {
        // An environment may use the pip of the Python that it was created from.
        let runs_pip = |observer: &mut dyn Observer| {
            let mut command = process::command(&self.python);
            command.args(["-m", "pip", "--version"]);
            runner::repeat(&command, Priority::Normal, observer).is_ok_and(|finished| finished.status.success())
        };
        if !wants_uv && !self.has_pip() && !runs_pip(observer) {
            return Err(Error::toolchain(
                format!("{} cannot be installed ({reason}): there is neither pip nor uv", self.request.root.display()),
                format!("install uv, or pip with `{} -m ensurepip`", self.python.display()),
            ));
        }
        Ok(())
    }

    /// Runs `maturin develop`. With `whole`, it installs the library, metadata, scripts and dependencies; otherwise it
    /// only writes the files that it generates in the project. Returns its output; `None` outside of a virtual
    /// environment.
    pub fn develop(&self, whole: bool, reason: &str, observer: &mut dyn Observer) -> Result<Option<String>> {
        let arguments = &self.settings.arguments;
        if self.environment.is_none() {
            let root = self.request.root.display();
            let message = format!("more than the library of {root} changed: `pip install -e {root}` installs the rest");
            observer.event(Event::Notice { message });
            return Ok(None);
        }
        let is_asked = |option: &str| arguments.develop.iter().any(|argument| argument == option);
        let installs = whole && !is_asked("--skip-install");
        let wants_uv = is_asked("--uv") || self.wants_uv();
        if installs {
            self.check_installer(wants_uv, reason, observer)?;
            if self.has_unasked_group() {
                return self.install_alone(reason, observer).map(Some);
            }
        }
        let mut command = process::command(&self.maturin);
        command.arg("develop");
        if !whole && !is_asked("--skip-install") {
            command.arg("--skip-install");
        }
        match which::which("true") {
            // maturin runs pip even if it has nothing to install, which takes 300 ms.
            Ok(nothing) if !installs && cfg!(unix) && !is_asked("--uv") => {
                command.arg("--pip-path").arg(nothing);
            }
            _ if wants_uv && !is_asked("--uv") => drop(command.arg("--uv")),
            _ => {}
        }
        command.args(arguments.develop.iter().filter(|argument| *argument != GENERATE_STUBS));
        self.add_arguments(&mut command);
        Ok(Some(text(&self.run(&command, reason, observer)?.stderr)))
    }
}

impl ProjectJob<'_> {
    /// The metadata of the project, which maturin writes without compiling; `None` if it writes none.
    pub fn dist_info(&self, observer: &mut dyn Observer) -> Result<Option<DistInfo>> {
        let folder = fs::temporary_folder(self.entry.home(), "metadata")?;
        let mut command = process::command(&self.maturin);
        command.args(["pep517", "write-dist-info", "--metadata-directory"]).arg(folder.path());
        command.arg("--interpreter").arg(self.stand_in.program()).args(self.settings.arguments.for_wheel());
        self.add_arguments(&mut command);
        self.call(&command, observer)?;
        Ok(DistInfo::in_folder(folder))
    }

    /// Whether `maturin develop` would also install the dependency group `dev`: from the network, and with pip 25.1 or
    /// later only. An import installs what the project itself needs.
    fn has_unasked_group(&self) -> bool {
        let options = ["--group", "-G", "--extras", "-E"];
        let is_choice = |argument: &String| options.iter().any(|option| argument.starts_with(option));
        let groups = pyproject_of(&self.request.root).remove("dependency-groups");
        groups.is_some_and(|groups| groups.get("dev").is_some())
            && !self.settings.arguments.develop.iter().any(is_choice)
    }

    /// Does what `maturin develop` does, without dependency groups. Returns maturin's output.
    fn install_alone(&self, reason: &str, observer: &mut dyn Observer) -> Result<String> {
        let folder = fs::temporary_folder(self.entry.home(), "wheel")?;
        let mut command = process::command(&self.maturin);
        command.args(["pep517", "build-wheel", "--editable", "-i"]).arg(self.stand_in.program());
        command.args(self.settings.arguments.for_wheel()).arg("--out").arg(folder.path());
        self.add_arguments(&mut command);
        let finished = self.run(&command, reason, observer)?;
        let wheel = Wheel::open(folder.path()).and_then(|mut wheel| {
            let metadata = wheel.metadata("METADATA")?;
            Some((wheel.path.clone(), wheel.dist_info()?, metadata))
        });
        let (path, name, metadata) = wheel.ok_or_else(|| self.runner().left_nothing(&command, &finished))?;
        self.install_wheel(&path, &name, &metadata, false, observer)?;
        Ok(text(&finished.stderr))
    }

    /// Installs the project in editable mode, with its dependencies and without its library. `root` is the folder of its
    /// Python files.
    pub fn install(&self, dist_info: &DistInfo, root: &Path, observer: &mut dyn Observer) -> Result<()> {
        let wheel = dist_info.write_wheel(root).map_err(|error| self.not_installed(&error))?;
        let wheel = wheel.ok_or_else(|| self.not_installed(&"maturin's metadata is incomplete"))?;
        self.check_installer(self.wants_uv(), "not installed", observer)?;
        self.install_wheel(&wheel, &dist_info.name, &dist_info.read("METADATA"), true, observer)
    }

    fn not_installed(&self, error: &dyn std::fmt::Display) -> Error {
        let project = &self.request.root;
        let message = format!("{} cannot be installed: {error}", project.display());
        Error::project(project, message, "run `maturin develop` in the project's folder")
    }

    /// Installs what a wheel with this `metadata` depends on, then the wheel in editable mode. `name` is that of its
    /// dist-info folder. `is_ours`: it has no library.
    fn install_wheel(
        &self,
        wheel: &Path,
        name: &str,
        metadata: &[u8],
        is_ours: bool,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let project = &self.request.root;
        let uv = self.uv().filter(|_| self.wants_uv());
        let installer = || {
            let mut command = process::command(uv.as_ref().unwrap_or(&self.python));
            match &uv {
                Some(_) => command.args(["pip", "install", "--python"]).arg(&self.python),
                None => command.args(["-m", "pip", "install", "--disable-pip-version-check"]),
            };
            command
        };
        // What it depends on comes first: if that fails, nothing has changed.
        let needed = dist_info::requirements(metadata);
        let reinstall = if uv.is_some() { "--reinstall" } else { "--force-reinstall" };
        let own = [OsString::from("--no-deps"), reinstall.into(), wheel.as_os_str().to_owned()];
        let needed: Vec<OsString> = needed.into_iter().map(OsString::from).collect();
        for arguments in [needed.as_slice(), &own].into_iter().filter(|arguments| !arguments.is_empty()) {
            let mut command = installer();
            command.args(arguments);
            self.set_environment(&mut command);
            self.call(&command, observer)?;
        }
        let dist_info = self.installation.site().join(name);
        dist_info::mark_as_editable(&dist_info, project, is_ours).map_err(|error| self.not_installed(&error))?;
        observer.event(Event::Log { message: format!("installed {} in editable mode", project.display()) });
        Ok(())
    }

    /// Runs a command that compiles nothing.
    fn call(&self, command: &Command, observer: &mut dyn Observer) -> Result<()> {
        let words = process::words(command).join(" ");
        observer.event(Event::Log { message: format!("runs {words}") });
        let finished = runner::repeat(command, Priority::Normal, observer)?;
        if finished.status.success() {
            return Ok(());
        }
        let (why, hint) = finished.complaint("`maturin develop` in the project's folder may say more");
        let root = &self.request.root;
        Err(Error::project(root, format!("{} cannot be installed: `{words}` failed: {why}", root.display()), hint))
    }
}

fn built(output: Option<Wheel>, stderr: String) -> Built<Option<Wheel>> {
    let warned = stderr.lines().any(|line| line.starts_with("warning"));
    Built { output, messages: None, warned, stderr }
}

impl Compiler for ProjectJob<'_> {
    /// `None` if maturin has also installed the project.
    type Output = Option<Wheel>;

    fn build(&self, reason: &str, observer: &mut dyn Observer) -> Result<Built<Option<Wheel>>> {
        // Only maturin may write the files that it generates among the user's.
        let is_mixed = !self.installation.roots.is_empty();
        if !self.metadata.has_library || (is_mixed && !self.metadata.is_extension) {
            let output = self.develop(!self.metadata.has_library, reason, observer)?.ok_or_else(|| {
                let root = &self.request.root;
                let message = format!(
                    "{} has to be installed again ({reason}), and maturin installs only into a virtual environment",
                    root.display()
                );
                Error::project(root, message, format!("run `pip install -e {}`", root.display()))
            })?;
            return Ok(built(None, output));
        }
        let wheels = fs::temporary_folder(self.entry.home(), "wheel")?;
        let command = self.build_command(wheels.path());
        let finished = self.run(&command, reason, observer)?;
        self.stand_in.learn();
        let wheel = Wheel::open(wheels.path()).ok_or_else(|| self.runner().left_nothing(&command, &finished))?;
        Ok(built(Some(wheel.in_folder(wheels)), text(&finished.stderr)))
    }

    /// Repeats the cargo commands that maturin logged: one, or one for each program.
    fn replay(&self, stderr: &str, observer: &mut dyn Observer) -> Result<Messages> {
        let mut all = Messages::default();
        for call in stderr.lines().filter_map(Call::parse) {
            let mut command = process::command(&self.toolchain.cargo);
            let words = call.words.iter().skip(1);
            let words = words.map(|word| if word == TEXT_MESSAGES { "json-diagnostic-rendered-ansi" } else { word });
            command.args(words);
            self.set_environment(&mut command);
            for name in &call.removed {
                command.env_remove(name);
            }
            command.envs(call.set.iter().map(|(name, value)| (name, value)));
            let finished = runner::repeat(&command, Priority::Normal, observer)?;
            let folder = self.metadata.manifest.parent().unwrap_or(Path::new("/"));
            all.extend(messages::read_messages(
                &finished.stdout,
                &[&self.metadata.workspace],
                folder,
                &self.metadata.directories,
            ));
        }
        Ok(all)
    }

    fn runner(&self) -> Runner<'_> {
        Runner {
            request: self.request,
            tool: "maturin",
            package: &self.metadata.package,
            priority: Priority::Normal,
            target: &self.metadata.directories.target,
            suggested_lock: None,
        }
    }

    fn profile_folders(&self) -> Vec<PathBuf> {
        let settings = BuildSettings { profile: self.profile.to_owned(), ..BuildSettings::default() };
        self.metadata.profile_folders(settings.profile_folder())
    }

    fn clean(&self, packages: &BTreeSet<String>, observer: &mut dyn Observer) -> Result<()> {
        let mut command = process::command(&self.toolchain.cargo);
        command.args(["clean", "--manifest-path"]).arg(&self.metadata.manifest);
        self.add_profile(&mut command);
        if let Some(target) = &self.settings.arguments.target {
            command.args(["--target", target]);
        }
        self.set_environment(&mut command);
        runner::clean(command, packages, observer)
    }
}
