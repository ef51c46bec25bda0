"""The sources below some folders, made fresh as the import hook would make them: before they are imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from threading import Event
from typing import Any, NamedTuple

from . import _hook, _load, _project
from ._build import Result, discover, each
from .errors import RustImportError


class Source(NamedTuple):
    """A script, a crate or a project, with the finder that would import it."""

    path: str
    name: str
    """Of its module."""
    finder: Any
    project: _hook.Project | None = None

    @property
    def stamp(self) -> str:
        """The file that says what was built, and of what."""
        entry = _hook.entry_name(self.path, self.project.site if self.project else None)
        return os.path.join(_hook.entry_folder(_hook.cache_root(self.finder.cache_dir), entry), "stamp")

    def fresh_artifact(self) -> str | None:
        """Its artifact, if the stamp vouches for it."""
        chosen, files = self._chosen(), self._files()
        if not _hook._is_private(_hook.cache_root(self.finder.cache_dir)):
            return None
        return _hook.fresh_artifact(self.stamp, self.path, _hook.context(chosen, files))

    def ensure(self, stop: Event | None = None) -> Result:
        """Builds it if it is stale. Errors are in the result, not raised."""
        try:
            artifact = self.fresh_artifact()
            if artifact is not None:
                return Result(self.path, artifact)
            outcome = _load.ensure(self._request(), show_warnings=self.finder.show_warnings, stop=stop)
        except RustImportError as error:
            return Result(self.path, None, error=error)
        artifact = os.fspath(outcome["artifact"])
        return Result(self.path, artifact, outcome["built"], outcome["seconds"], outcome["reason"])

    def _request(self) -> dict[str, Any]:
        chosen, files = self._chosen(), self._files()
        if self.project is not None:
            return _project._request(self.finder, self.name, self.project, chosen, files, force=False)
        asked: dict[str, Any] = self.finder.request(self.path, self.name, marked=True, chosen=chosen, files=files)
        return asked

    def _chosen(self) -> Any:
        return self.finder.chosen(self.name, self.path)

    def _files(self) -> list[str] | None:
        if self.project is not None:
            return _project._listed(self.finder, self.name, self.project)
        files: list[str] | None = self.finder.files(self.path)
        return files


def find(paths: Iterable[str | os.PathLike[str]], are_named: bool = True) -> list[Source]:
    """The scripts and crates that opted in among `paths` and below them, and the editable projects that stand there. If
    not `are_named`, these are folders to search (see `discover`).

    Raises:
        ProjectError: a path does not exist, or is no source.
    """
    places = [os.path.abspath(path) for path in paths]
    installed = _projects(places)
    roots = {source.path for source in installed}
    finder = _hook.installed(_hook.ScriptFinder) or _hook.ScriptFinder()
    # A project's folder may be named as one, and is no crate then.
    found = discover([place for place in places if place not in roots], opt_in=True, are_named=are_named)
    scripts = [Source(path, os.path.basename(path).removesuffix(".rs"), finder) for path in found]
    return [*scripts, *installed]


def _projects(places: Sequence[str]) -> list[Source]:
    finder = _hook.installed(_hook.ProjectFinder) or _hook.ProjectFinder()
    finder.look_around()
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


def ensure(sources: Sequence[Source]) -> list[Result]:
    """Makes all of them fresh, several at once, and goes on where one fails."""
    return each(sources, Source.ensure)
