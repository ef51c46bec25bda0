"""The options of the plugins for build backends: `[tool.rustimport.wheel]`, or the table of hatch's build hook."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .._compat.maturin_settings import MaturinSettings
from ..errors import ProjectError


@dataclass(frozen=True)
class Options:
    """How the sources of a package are built for its wheel.

    Attributes:
        paths: Files and folders to search for sources, relative to the project. By default, the packages.
        profile: A Cargo profile, or ``fast`` or ``small``.
        abi3: The oldest version of Python that one wheel is for, such as ``"3.10"``.
        compatibility: A platform tag, such as ``"manylinux2014"``.
        zig: Link with zig.
        strip: Remove symbols.
        sources: Put the sources into the wheel, too.
    """

    paths: Sequence[str] = ()
    profile: str = "fast"
    abi3: str | None = None
    compatibility: str | None = None
    zig: bool = False
    strip: bool = False
    sources: bool = False

    @classmethod
    def of(cls, table: Mapping[str, Any], where: str) -> Options:
        """Reads a table. `where` names it in messages.

        Raises:
            ProjectError: there is an unknown option, or a value of the wrong type.
        """
        kinds = {field.name: (str if field.default in ("fast", None) else type(field.default)) for field in fields(cls)}
        for name, value in table.items():
            expected = kinds.get(name)
            if expected is None:
                hint = f"the options are {', '.join(kinds)}"
                raise ProjectError(f"unknown option `{name}` in {where}", hint=hint, path="pyproject.toml")
            is_list = expected is tuple and isinstance(value, list) and all(isinstance(path, str) for path in value)
            if not is_list and type(value) is not expected:
                word = {str: "text", bool: "true or false", tuple: "a list of paths"}[expected]
                hint = f"write {word}"
                raise ProjectError(f"`{name} = {value!r}` in {where}", hint=hint, path="pyproject.toml")
        options = cls(**table)
        if options.abi3 is not None and not re.fullmatch(r"3\.\d+", options.abi3):
            message = f"`abi3 = {options.abi3!r}` in {where} is not a version of Python"
            raise ProjectError(message, hint='write, for example, abi3 = "3.10"', path="pyproject.toml")
        return options

    def settings(self) -> MaturinSettings:
        """The same for maturin."""
        return MaturinSettings(
            strip=self.strip,
            features=None if self.abi3 is None else [f"pyo3/abi3-py{self.abi3.replace('.', '')}"],
            # maturin's own default, unless a platform is given.
            auditwheel=None if self.compatibility else "repair",
            zig=self.zig,
            compatibility=self.compatibility,
        )
