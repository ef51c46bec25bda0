"""Settings for maturin, and base classes: the names and behaviour of the predecessor."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rustimport import error, errors
from rustimport.settings import MaturinSettings

from tests import projects
from tests.build.test_projects import Environment, developed, edit
from tests.conftest import Place

#: Every field with a value, and its arguments for `build` and `develop`.
FIELDS: list[tuple[str, Any, list[str], list[str]]] = [
    ("release", True, ["--release"], ["--release"]),
    ("strip", True, ["--strip"], ["--strip"]),
    ("quiet", True, ["--quiet"], ["--quiet"]),
    ("jobs", 2, ["--jobs", "2"], ["--jobs", "2"]),
    ("profile", "custom", ["--profile", "custom"], ["--profile", "custom"]),
    ("features", ["a", "b"], ["--features", "a,b"], ["--features", "a,b"]),
    ("all_features", True, ["--all-features"], ["--all-features"]),
    ("no_default_features", True, ["--no-default-features"], ["--no-default-features"]),
    (
        "target",
        "x86_64-unknown-linux-gnu",
        ["--target", "x86_64-unknown-linux-gnu"],
        ["--target", "x86_64-unknown-linux-gnu"],
    ),
    ("ignore_rust_version", True, ["--ignore-rust-version"], ["--ignore-rust-version"]),
    ("color", False, ["--color", "never"], ["--color", "never"]),
    ("frozen", True, ["--frozen"], ["--frozen"]),
    ("locked", True, ["--locked"], ["--locked"]),
    ("offline", True, ["--offline"], ["--offline"]),
    ("config", {"build.jobs": "2"}, ["--config", "build.jobs=2"], ["--config", "build.jobs=2"]),
    ("unstable_flags", ["a", "b"], ["-Z", "a", "-Z", "b"], ["-Z", "a", "-Z", "b"]),
    ("verbose", 2, ["-vv"], ["-vv"]),
    ("rustc_flags", ["-C", "x"], ["--", "-C", "x"], ["--", "-C", "x"]),
    ("auditwheel", "repair", ["--auditwheel", "repair"], []),
    ("zig", True, ["--zig"], []),
    ("extras", ["a", "b"], [], ["--extras", "a,b"]),
    ("group", ["a", "b"], [], ["--group", "a", "--group", "b"]),
    ("uv", True, [], ["--uv"]),
    ("skip_install", True, [], ["--skip-install"]),
    ("generate_stubs", True, ["--generate-stubs"], ["--generate-stubs"]),
    ("compatibility", "manylinux2014", ["--compatibility", "manylinux2014"], []),
]


def test_all_fields_are_tested() -> None:
    assert [name for name, *_ in FIELDS] == [field.name for field in dataclasses.fields(MaturinSettings)]


@pytest.mark.parametrize(("name", "value", "build", "develop"), FIELDS)
def test_arguments(name: str, value: Any, build: list[str], develop: list[str]) -> None:
    settings = MaturinSettings(**{name: value})
    assert settings.to_args("build") == build
    assert settings.to_args("develop") == develop
    for arguments in (build, develop):
        if arguments:
            assert MaturinSettings.from_args(arguments) == settings


def test_wrong_arguments_are_named() -> None:
    for arguments, named in (
        (["--nope"], "--nope"),
        (["--jobs", "x"], "--jobs"),
        (["--config", "x"], "--config"),
        (["--color", "blue"], "--color"),
    ):
        with pytest.raises(ValueError, match=named):
            MaturinSettings.from_args(arguments)
    assert MaturinSettings.default() == MaturinSettings(color=True)
    assert issubclass(errors.BuildError, error.MaturinError)
    assert issubclass(errors.ToolchainError, error.MaturinError)
    assert error.ImportHookError is errors.RustImportError


FAKE = """\
#!/bin/sh
echo "$*" >> "$MATURIN_LOG"
exit 1
"""


@pytest.mark.parametrize(("name", "value", "build", "develop"), FIELDS)
def test_every_field_reaches_the_command_line(
    place: Place, tmp_path: Path, name: str, value: Any, build: list[str], develop: list[str]
) -> None:
    """For the builds of a script and of a project."""
    maturin = tmp_path / "maturin"
    maturin.write_text(FAKE)
    maturin.chmod(0o755)
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i64 { 1 }\n")
    site = tmp_path / "site-packages"
    root = tmp_path / "project"
    for file, text in {**projects.LAYOUTS["pure"].files}.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text.replace("[lib]", "[features]\na = []\nb = []\n\n[lib]"))
    dist_info = site / "t_pure-1.0.dist-info"
    dist_info.mkdir(parents=True)
    (dist_info / "WHEEL").write_text("Generator: maturin (1.16.0)\n")
    (dist_info / "direct_url.json").write_text(f'{{"url": "file://{root}", "dir_info": {{"editable": true}}}}')
    code = f"""
        import sys
        sys.path.append({str(site)!r})
        from rustimport.settings import MaturinSettings
        rustimport.install(settings=MaturinSettings({name}={value!r}))
        for name in ("m", "t_pure"):
            try:
                __import__(name)
            except rustimport.BuildError:
                pass
    """
    place.python(code, RUSTIMPORT_MATURIN_EXECUTABLE=str(maturin))
    runs = [run.replace("-- ", "--rustc ") for run in place.log.read_text().splitlines()]
    assert len(runs) >= 2, runs
    # rustimport writes the stubs itself.
    ours = {"release": "--profile release", "generate_stubs": ""}
    expected = ours.get(name, " ".join(build).replace("-- ", "--rustc "))
    for run in (runs[0], runs[-1]):
        if name == "rustc_flags":
            assert run.partition("--rustc ")[2].endswith("-C x")
        elif name in ("locked", "frozen") and run == runs[0]:
            # A script has no lock file of its own.
            assert expected not in run
        else:
            assert expected in run, (expected, run)


def test_arguments_are_passed_to_develop(environment: Environment) -> None:
    _, root = developed(environment, "flat")
    with (root / "pyproject.toml").open("a") as file:
        file.write("\n[project.optional-dependencies]\nmore = []\n\n[dependency-groups]\ntools = []\n")
    code = """
        from rustimport.settings import MaturinSettings
        rustimport.install(settings=MaturinSettings(extras=["more"], group=["tools"], uv=True, jobs=1))
        import t_flat; print(t_flat.value())
    """
    run = environment.run(code)
    assert run.out == "1", run.stderr
    develop = environment.place.log.read_text().splitlines()[-1]
    assert develop.startswith("develop ")
    assert "--extras more --group tools --uv" in develop
    assert "--jobs 1" in develop


def test_a_subclass_on_the_meta_path(environment: Environment) -> None:
    """It works without `install`, and takes precedence over the finders of the site hook."""
    layout, root = developed(environment, "flat")
    edit(root / "src/lib.rs", projects.EDITED, 'if cfg!(feature = "more") { 2 } else { 3 }')
    edit(root / "Cargo.toml", "[dependencies]", "[features]\nmore = []\n\n[dependencies]")
    code = """
        import sys
        rustimport.uninstall()
        {first}
        from rustimport.project_importer import MaturinProjectImporter
        from rustimport.settings import MaturinSettings

        class Custom(MaturinProjectImporter):
            def get_settings(self, module_path, source_path):
                assert module_path == "t_flat" and source_path.name == "project"
                return MaturinSettings(features=["more"])

            def find_maturin(self):
                found = super().find_maturin()
                print(found.name)
                return found

        sys.meta_path.insert(0, Custom())
        import t_flat; print(t_flat.value())
    """
    for first, builds in (("", 1), ("rustimport.install()", 0)):
        run = environment.run(code.replace("{first}", first))
        assert run.out.splitlines()[-1] == "2", run.stderr
        assert run.builds == builds
    # Without the subclass, the feature is off.
    assert environment.run(layout.code).out == "3"


def test_a_subclass_for_scripts(place: Place) -> None:
    place.write("m.rs", '// rustimport:pyo3\n#[pyfunction]\nfn value() -> &\'static str { include_str!("text") }\n')
    place.write("text", "text")
    place.write("more", "1")
    code = """
        import sys
        rustimport.uninstall()
        from pathlib import Path
        from rustimport.rust_file_importer import MaturinRustFileImporter, is_installed
        from rustimport.settings import MaturinSettings

        class Custom(MaturinRustFileImporter):
            def get_settings(self, module_path, source_path):
                assert (module_path, source_path.name) == ("m", "m.rs")
                return MaturinSettings(jobs=1)

            def get_source_files(self, source_path):
                yield source_path
                yield source_path.with_name("more")

        assert not is_installed()
        sys.meta_path.insert(0, Custom())
        assert is_installed()
        import m; print(m.value())
    """
    assert [(run.out, run.builds) for run in (place.python(code), place.python(code))] == [("text", 1), ("text", 0)]
    assert "--jobs 1" in place.log.read_text()
    place.write("more", "2")
    assert [place.python(code).builds, place.python(code).builds] == [1, 0]


def test_a_generated_project_for_a_script(place: Place) -> None:
    place.write(
        "m.rs",
        "use pyo3::prelude::*;\n#[pymodule]\nmod m {\n    #[pymodule_export]\n    use super::value;\n}\n"
        "#[pyfunction]\nfn value() -> i64 { NUMBER }\n",
    )
    code = """
        import shutil, sys
        rustimport.uninstall()
        from rustimport.rust_file_importer import MaturinRustFileImporter

        class Custom(MaturinRustFileImporter):
            def generate_project_for_single_rust_file(self, module_path, project_dir, rust_file, settings):
                assert not project_dir.exists()
                (project_dir / "src").mkdir(parents=True)
                (project_dir / "Cargo.toml").write_text(
                    '[package]\\nname = "m"\\nversion = "1.0.0"\\nedition = "2021"\\n'
                    '[lib]\\ncrate-type = ["cdylib"]\\n[dependencies]\\npyo3 = "0.30"\\n'
                )
                text = rust_file.read_text() + f"const NUMBER: i64 = {len(rust_file.read_text().split())};"
                (project_dir / "src/lib.rs").write_text(text)
                return project_dir

        sys.meta_path.insert(0, Custom())
        import m; print(m.value())
    """
    first = place.python(code)
    assert first.builds == 1, first.stderr
    again = place.python(code)
    assert (again.out, again.builds) == (first.out, 0)
    with (place.folder / "m.rs").open("a") as file:
        file.write("// more\n")
    assert int(place.python(code).out) == int(first.out) + 2


def test_a_file_searcher(environment: Environment) -> None:
    layout, root = developed(environment, "flat")
    code = f"""
        from rustimport.project_importer import DefaultProjectFileSearcher

        class Searcher(DefaultProjectFileSearcher):
            def get_source_paths(self, project_dir, all_path_dependencies, installed_package_root):
                for path in super().get_source_paths(project_dir, all_path_dependencies, installed_package_root):
                    if path.name != "ignored.rs":
                        yield path

        rustimport.install(file_searcher=Searcher())
        {layout.code}
    """
    environment.place.write("project/src/ignored.rs", "")
    edit(root / "src/lib.rs", "use pyo3", "mod ignored;\nuse pyo3")
    assert environment.run(code).out == "1"
    assert environment.run(code).builds == 0
    environment.place.write("project/notes.txt", "an input now")
    assert [environment.run(code).builds, environment.run(code).builds] == [1, 0]
    environment.place.write("project/src/ignored.rs", "// no input")
    assert environment.run(code).builds == 0


def test_each_hook_alone(environment: Environment) -> None:
    code = """
        from rustimport import project_importer, rust_file_importer
        def state():
            return project_importer.is_installed(), rust_file_importer.is_installed()
        states = [state()]
        rustimport.uninstall(); states.append(state())
        project_importer.install(); states.append(state())
        rust_file_importer.install(); project_importer.uninstall(); states.append(state())
        rust_file_importer.uninstall(); states.append(state())
        rustimport.install(enable_rs_file_importer=False); states.append(state())
        rustimport.install(enable_project_importer=False); states.append(state())
        print(states)

        # All of them turn on the same hook, and leave finders that the user added.
        def finders():
            return [type(finder).__name__ for finder in sys.meta_path if "rustimport" in type(finder).__module__]
        import sys
        own = rust_file_importer.MaturinRustFileImporter()
        sys.meta_path.insert(0, own)
        project_importer.install(); rust_file_importer.install(); rustimport.install(); print(*finders())
        project_importer.install(); rust_file_importer.install(); print(*finders())
        rustimport.uninstall(); rust_file_importer.uninstall(); print(*finders())
    """
    expected = [
        (True, True),
        (False, False),
        (True, False),
        (False, True),
        (False, False),
        (True, False),
        (False, True),
    ]
    assert environment.run(code).out.splitlines() == [
        str(expected),
        "ProjectFinder MaturinRustFileImporter ScriptFinder",
        "MaturinProjectImporter MaturinRustFileImporter MaturinRustFileImporter",
        "MaturinRustFileImporter",
    ]


def test_unused_maturin_settings_load_nothing() -> None:
    code = "import sys, rustimport.settings; print('dataclasses' in sys.modules or 'argparse' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_stubs_are_generated(environment: Environment) -> None:
    """By every build, in place of those that `maturin develop --generate-stubs` left."""
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    inspected = 'pyo3 = { version = "0.30", features = ["experimental-inspect"] }'
    edit(root / "Cargo.toml", 'pyo3 = "0.30"', inspected)
    environment.develop(root, "--generate-stubs")
    (stub,) = root.glob("t_flat/**/*.pyi")
    code = f"""
        from rustimport.settings import MaturinSettings
        rustimport.install(settings=MaturinSettings(generate_stubs=True))
        {layout.code}
    """
    for value, parameters in (("2", ""), ("3", "more = 0"), ("4", "other = 0")):
        signature = f"#[pyo3(signature = ({parameters}))]\nfn value({parameters.replace('= 0', ': i32')})"
        text = layout.files[layout.edited].replace(projects.EDITED, value)
        (root / layout.edited).write_text(text.replace("fn value()", signature))
        run = environment.run(code)
        assert (run.out, run.builds) == (value, 1), run.stderr
        assert f"def value({parameters.partition(' ')[0]}" in stub.read_text()
    assert environment.run(code).builds == 0

    edit(root / "Cargo.toml", inspected, 'pyo3 = "0.30"')
    run = environment.run(code)
    assert run.out == "4"
    assert "no type stubs are written: they need pyo3's feature `experimental-inspect`" in run.stderr


def test_arguments_without_influence_build_nothing(place: Place) -> None:
    """How many jobs run, and what is printed, is not what an artifact depends on."""
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i64 { 1 }\n")
    code = "rustimport.install(settings=rustimport.MaturinSettings({})); import m; print(m.value())"
    assert place.python(code.format("")).builds == 1
    assert place.python(code.format("jobs=1, verbose=1, color=False, quiet=True")).builds == 0
    assert place.python(code.format("jobs=2, locked=True")).builds == 1
    # A script has no lock file of its own.
    code = code.replace("import m; print(m.value())", "import n; print(n.value())")
    for option in ("locked", "frozen"):
        place.write("n.rs", f'// rustimport:pyo3\n#[pyfunction]\nfn value() -> &\'static str {{ "{option}" }}\n')
        shutil.rmtree(place.entry("n"), ignore_errors=True)
        assert place.python(code.format(f"{option}=True")).out == option
