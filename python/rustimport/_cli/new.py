"""`new`: creates a script, a crate or a project, and prints how to use it."""

from __future__ import annotations

import argparse
import keyword
import os
import shlex
import sys

from .. import _native
from ..errors import ProjectError
from .output import tell


def run(options: argparse.Namespace) -> None:
    path = os.path.abspath(options.path)
    name = os.path.basename(path).removesuffix(".rs")
    if keyword.iskeyword(name) or name in sys.stdlib_module_names:
        is_word = keyword.iskeyword(name)
        what = "a keyword of Python" if is_word else "a module of the standard library, which Python finds first"
        raise ProjectError(f"`{name}` is {what}", hint="choose another name", path=path)
    is_script = path.endswith(".rs")
    if is_script and (options.project or options.script):
        what = "a project" if options.project else "a source created with --from"
        options.parser.error(f"{what} is a folder: use {options.path.removesuffix('.rs')} instead of {options.path}")
    script = os.path.abspath(options.script) if options.script else None
    kind = "script" if is_script else "project" if options.project else "crate"
    for written in _native.core.scaffold(path, kind, script):
        tell(options, f"wrote {os.path.relpath(written)}")
    if script == f"{path}.rs":
        tell(options, f"remove {os.path.relpath(script)}: as long as it exists, `import {name}` imports it")
    if options.project:
        manifest = shlex.quote(os.path.join(os.path.relpath(path), "Cargo.toml"))
        # maturin installs into the environment that is activated, whichever that is.
        is_active = sys.prefix in (os.environ.get("VIRTUAL_ENV"), os.environ.get("CONDA_PREFIX"))
        by_pip = f"{shlex.quote(sys.executable)} -m pip install -e {shlex.quote(os.path.relpath(path))}"
        tell(options, f"install it:  {f'maturin develop -m {manifest}' if is_active else by_pip}")
    code = f"print(dir({name}))" if script else f"print({name}.say_hello())"
    is_here = os.path.dirname(path) == os.getcwd() or options.project
    where = "" if is_here else f"cd {shlex.quote(os.path.dirname(path))} && "
    tell(options, f"try it:  {where}python -c 'import rustimport.import_hook, {name}; {code}'")
