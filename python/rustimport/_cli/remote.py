"""`remote`: a store with what other machines built."""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from typing import Any

from .. import _build, _cache, _core_client, _native, _projects, _report, _sources
from ..errors import ProjectError, RustImportError
from .output import confirmed, libraries, printable, say, say_failures, size, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._request import Request


def keygen(options: argparse.Namespace) -> int:
    public, path = _native.core.remote_keygen(_core_client.configuration_folder())
    tell(options, f"wrote {os.fspath(path)}: whoever has this file can make others run code, so keep it secret")
    tell(options, "the public key, for remote-trust:")
    print(public)
    return 0


def trust(options: argparse.Namespace) -> int:
    claim = _native.core.remote_claim(os.path.abspath(options.path))
    folder, url, keys = claim
    print(f"{printable(os.fspath(folder))} names")
    for text in [f"the store {url}"] * (url is not None) + [f"the key {key}" for key in keys]:
        print(f"  {printable(text)}")
    is_asked = not (options.remove or options.yes) and sys.stdin is not None and sys.stdin.isatty()
    if is_asked and not confirmed("Whoever has one of these keys can run code here. Trust them?"):
        return 1
    _native.core.remote_trust(_core_client.configuration_folder(), *claim, not options.remove)
    tell(options, "no longer trusted" if options.remove else "trusted")
    return 0


def info(options: argparse.Namespace) -> int:
    found = _describe(is_tried=False)
    if options.format == "json":
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    return 0


def check(options: argparse.Namespace) -> int:
    found = _describe(is_tried=True)
    if options.format == "json":
        print(json.dumps(found, indent=2))
    elif not found["problems"]:
        tell(options, f"{found['url']} can be {'read and written' if found['is_writable'] else 'read'}")
    else:
        for problem in found["problems"]:
            say(problem)
    return 1 if found["problems"] else 0


def _describe(is_tried: bool) -> dict[str, Any]:
    described: dict[str, Any] = _core_client.describe_remote(is_tried)
    return described


def _print(found: dict[str, Any]) -> None:
    mode = "read and written" if found["is_writable"] else "only read"
    rows = [
        ("store", found["url"] and f"{found['url']} ({mode}; from {found['origin']})"),
        ("content", found["sets"] is not None and f"{libraries(found['artifacts'])}, {size(found['bytes'])}"),
        ("trusted keys", ", ".join(found["trusted"])),
        ("revoked keys", ", ".join(found["revoked"])),
        ("variables", ", ".join(found["variables"])),
        ("signs with", found["signs_with"]),
        *(("newest build", _build_of(build)) for build in found["builds"]),
        *(("problem", problem) for problem in found["problems"]),
    ]
    for name, value in rows:
        if value:
            print(f"{name:14}{value}")


def _build_of(build: dict[str, Any]) -> str:
    commit, job = build["commit"], build["job"]
    about = f" of commit {commit}" * (commit is not None) + f" in {job}" * (job is not None)
    return f"number {build['serial']}{about}, signed by {build['signer']}"


def push(options: argparse.Namespace) -> int:
    """Writes the artifacts of all sources to the store, and fails if one of them cannot be written."""
    from .build import choose_profile

    choose_profile(options)
    results = _each(options, partial(_push, may_build=not options.no_build))
    failed = say_failures(results)
    stays = [result for result in results if result.origin == "stays"]
    for result in stays:
        say(f"{os.path.relpath(result.path)} stays on this machine: {result.reason}")
    written = sum(result.origin == "written" for result in results)
    present = sum(result.origin == "present" for result in results)
    tell(options, f"{written} written, {present} already there, {len(stays)} stay, {len(failed)} failed")
    return 1 if failed else 0


def _push(source: str, stop: Any = None, bar: _report.Bar | None = None, may_build: bool = True) -> _build.Result:
    project = _sources.project_at(source)
    if project:
        asked = _request(project, may_build=may_build)
    else:
        asked = _core_client.request(_cache.Key(source), may_build=may_build)
    reporter = _report.Reporter(asked["module"], asked["root"], True, stop, bar)
    try:
        outcome, reason = _native.core.remote_push(asked, reporter)
    except RustImportError as error:
        _core_client.name_module(error, asked)
        return _build.Result(source, None, error=error)
    finally:
        reporter.close()
        if bar:
            bar.advance()
    return _build.Result(source, None, reason=reason, origin=outcome)


def pull(options: argparse.Namespace) -> int:
    """Takes the artifacts of all sources from the store, and builds nothing."""
    from .build import choose_profile

    choose_profile(options)
    results = _each(options, _pull)
    folders = {result.path if os.path.isdir(result.path) else os.path.dirname(result.path) for result in results}
    if folders and not any(_core_client.describe_remote(False, folder)["url"] for folder in folders):
        raise ProjectError(
            "no remote store is configured",
            hint="set RUSTIMPORT_REMOTE to its URL, or `remote` in [tool.rustimport] of pyproject.toml",
            path=os.getcwd(),
        )
    failed = say_failures(results)
    fetched = sum(result.origin == "fetched" for result in results)
    there = len(results) - fetched - len(failed)
    tell(options, f"{fetched} fetched, {there} already there, {len(failed)} not in the store")
    return 1 if failed else 0


def _pull(source: str, stop: Any = None, bar: _report.Bar | None = None) -> _build.Result:
    project = _sources.project_at(source)
    if project is None:
        return _build.build_one(source, in_place=False, may_build=False, stop=stop, bar=bar)
    try:
        outcome = _core_client.ensure(_request(project, may_build=False), stop=stop, bar=bar)
    except RustImportError as error:
        return _build.Result(source, None, error=error)
    finally:
        if bar:
            bar.advance()
    artifact = os.fspath(outcome["artifact"])
    if outcome["stubs"] is not None:
        from .. import _stubs

        _stubs.update_project(project, artifact)
    return _build.Result(source, artifact, origin=outcome["origin"])


def _request(project: _projects.Project, may_build: bool = True) -> Request:
    """The request for a project, which is installed if necessary."""
    return _core_client.request(
        _cache.Key(project.root, project.site),
        project.module,
        marked=True,
        in_place=False,
        may_build=may_build,
        dist_info=project.dist_info,
        automatic=True,
    )


def _each(options: argparse.Namespace, one: Any) -> list[_build.Result]:
    sources = _build.discover(options.paths or [os.curdir], opt_in=True, are_named=bool(options.paths))
    here = os.getcwd()
    if not options.paths and _sources.project_at(here):
        sources.insert(0, here)
    bar = _report.Bar.of(len(sources))
    try:
        return _build.each(sources, partial(one, bar=bar))
    finally:
        if bar:
            bar.close()


def prune(options: argparse.Namespace) -> int:
    freed = _native.core.remote_prune(
        _core_client.remote_settings(), _core_client.describe_interpreter(), os.getcwd(), options.days * 86400
    )
    tell(options, f"removed {size(freed)}")
    return 0
