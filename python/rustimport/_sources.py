"""Finds sources in folders and rebuilds stale ones before they are imported, in the same way as the import hook."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from threading import Event
from typing import Any, NamedTuple

from . import _core_client, _finder, _marker, _projects, _report, _settings, _stubs
from ._build import Result, discover, each
from ._cache import Key
from .errors import RustImportError


class Source(NamedTuple):
    """A script, a crate or a project, with the finder that would import it."""

    path: str
    name: str
    """The name of its module."""
    finder: Any
    project: _projects.Project | None = None

    @property
    def stamp(self) -> str:
        """The file that lists the artifact and its inputs."""
        # Without what was declared for it, which may run cargo: its place in the cache does not depend on that.
        return Key(self.path, self.project.site if self.project else None, self.finder.cache_dir).stamp

    def fresh_artifact(self) -> str | None:
        """Its artifact, if the stamp is still valid."""
        return self._key().fresh_artifact()

    def ensure(self, stop: Event | None = None, *, stubs: bool = False) -> Result:
        """Builds it if it is stale. Errors are in the result, not raised. `stubs`: with what type stubs need, which the
        caller writes."""
        try:
            key = self._key()
            artifact = key.fresh_artifact()
            # A stamp does not tell whether that is in the library.
            if artifact is not None and not stubs:
                return Result(self.path, artifact)
            if self.project is not None:
                asked = _projects.request(self.finder, key, self.name, self.project)
            else:
                asked = self.finder.request(key, self.name, marked=True, stubs=stubs, in_place=not stubs)
            outcome = _core_client.ensure(asked, show_warnings=self.finder.show_warnings, stop=stop)
        except RustImportError as error:
            return Result(self.path, None, error=error)
        artifact = os.fspath(outcome["artifact"])
        if outcome["stubs"] is not None and not stubs:
            if self.project is not None:
                _stubs.update_project(self.project, artifact)
            else:
                _stubs.update(self.path, artifact, outcome["stubs"])
        return Result(self.path, artifact, outcome["built"], outcome["seconds"], outcome["reason"])

    def _key(self) -> Key:
        if self.project is not None:
            return _projects.key_of(self.finder, self.name, self.project)
        key: Key = self.finder.key(self.name, self.path)
        return key


def find(paths: Iterable[str | os.PathLike[str]], are_named: bool = True) -> list[Source]:
    """The scripts and crates that opted in at and below `paths`, and the editable projects there. If not `are_named`,
    the paths are folders to search (see `discover`).

    Raises:
        ProjectError: a path does not exist, or is not a source.
    """
    places = [os.path.abspath(path) for path in paths]
    installed = _installed(places)
    roots = {source.path for source in installed}
    others = [place for place in places if are_named and place not in roots and project_at(place)]
    for place in others:
        _report.warn(
            f"{place} is a maturin project that is not installed in editable mode in this environment: run "
            "`maturin develop` in its folder to install it"
        )
    finder = _finder.installed("scripts") or _finder.ScriptFinder()
    # The folder of a project may be one of the paths. It is searched for scripts, and not treated as a crate.
    projects = [place for place in places if place in roots or place in others]
    found = [path for path in discover(projects, opt_in=True, are_named=False) if path not in roots]
    found += discover([place for place in places if place not in projects], opt_in=True, are_named=are_named)
    scripts = [Source(path, os.path.basename(path).removesuffix(".rs"), finder) for path in found]
    return [*scripts, *installed]


def project_at(folder: str) -> _projects.Project | None:
    """The project in a folder that is installed in editable mode or could be, unless it is a crate with a marker."""
    if not os.path.isdir(folder) or _marker.is_marked_crate(folder):
        return None
    found = _projects.projects_in(_core_client.index_all_projects(_settings.site_folders(), [folder]).split(b"\n"))
    return next((project for named in found.values() for project in named if project.root == folder), None)


def _installed(places: Sequence[str]) -> list[Source]:
    finder = _finder.installed("projects") or _projects.ProjectFinder()
    finder.read_index()
    found: dict[tuple[str, str], Source] = {}
    for name, projects in finder.projects.items():
        for project in projects:
            if any(_is_below(project.root, place) for place in places):
                key = project.root, project.site
                found.setdefault(key, Source(project.root, project.module or name, finder, project))
    return list(found.values())


def _is_below(path: str, folder: str) -> bool:
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def ensure(sources: Sequence[Source], *, stubs: bool = False) -> list[Result]:
    """Builds all stale sources, several at once, and continues after failures. `stubs`: as for `Source.ensure`."""
    return each(sources, partial(Source.ensure, stubs=stubs))
