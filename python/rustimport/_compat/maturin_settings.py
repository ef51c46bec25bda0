"""Settings for maturin, with the names of ``maturin_import_hook``: the conversion from and to maturin's arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NoReturn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._request import Arguments

__all__ = ["MaturinSettings"]


@dataclass
class MaturinSettings:
    """Arguments that are passed to maturin: to ``maturin build`` and ``maturin develop``.

    Attributes:
        release: Use the profile ``release``.
        strip: Strip the library.
        quiet: Show no messages of cargo.
        jobs: The number of concurrent jobs.
        profile: A Cargo profile.
        features: Cargo features.
        all_features: Enable all features.
        no_default_features: Enable only the features that are given.
        target: The triple to compile for.
        ignore_rust_version: Ignore ``rust-version`` in the manifests.
        color: Whether messages are coloured; if ``None``, depending on the terminal.
        frozen: Change neither ``Cargo.lock`` nor the downloads.
        locked: Do not change ``Cargo.lock``.
        offline: Do not use the network.
        config: Cargo configuration, name -> value as TOML.
        unstable_flags: Flags for ``-Z``.
        verbose: The number of ``-v``.
        rustc_flags: Arguments for rustc, for this package only.
        auditwheel: ``repair``, ``check``, ``warn`` or ``skip`` (``build`` only).
        zig: Link with zig (``build`` only).
        compatibility: The platform to support: ``manylinux2014``, … (``build`` only).
        extras: Extra dependencies to install (``develop`` only).
        group: Dependency groups to install (``develop`` only).
        uv: Install with uv (``develop`` only).
        skip_install: Install nothing (``develop`` only).
        generate_stubs: Write type stubs of projects, in place of existing ones.
    """

    release: bool = False
    strip: bool = False
    quiet: bool = False
    jobs: int | None = None
    profile: str | None = None
    features: list[str] | None = None
    all_features: bool = False
    no_default_features: bool = False
    target: str | None = None
    ignore_rust_version: bool = False
    color: bool | None = None
    frozen: bool = False
    locked: bool = False
    offline: bool = False
    config: dict[str, str] | None = None
    unstable_flags: list[str] | None = None
    verbose: int = 0
    rustc_flags: list[str] | None = None
    auditwheel: str | None = None
    zig: bool = False
    extras: list[str] | None = None
    group: list[str] | None = None
    uv: bool = False
    skip_install: bool = False
    generate_stubs: bool = False
    compatibility: str | None = None

    @staticmethod
    def default() -> MaturinSettings:
        """The default settings."""
        return MaturinSettings(color=True)

    @staticmethod
    def from_args(raw_args: Sequence[str]) -> MaturinSettings:
        """Reads settings from command-line arguments, as ``maturin develop`` and ``maturin build`` take them.

        Raises:
            ValueError: an argument is invalid; the message names it.
        """
        raw, rustc = list(raw_args), None
        if "--" in raw:
            end = raw.index("--")
            raw, rustc = raw[:end], raw[end + 1 :]
        found = vars(MaturinSettings.parser().parse_args(raw))
        config = found.pop("config")
        if config is not None:
            found["config"] = {}
            for item in config:
                name, equals, value = item.partition("=")
                if not equals:
                    raise ValueError(f"--config: expected NAME=VALUE, got {item!r}")
                found["config"][name] = value
        if found["color"] is not None:
            found["color"] = {"always": True, "never": False, "auto": None}[found["color"]]
        for name in ("features", "extras", "group"):
            if found[name] is not None:
                # Like cargo, accept features separated by spaces.
                items = [item.replace(" ", ",") if name == "features" else item for item in found[name]]
                found[name] = [part for item in items for part in item.split(",") if part]
        return MaturinSettings(**found, rustc_flags=rustc or None)

    @staticmethod
    def parser() -> argparse.ArgumentParser:
        """The parser for the arguments of `from_args` before ``--``; it raises ``ValueError``."""
        return _parser()

    def to_args(self, cmd: Literal["develop", "build"]) -> list[str]:
        """The command-line arguments for ``maturin develop`` or ``maturin build``."""
        arguments = ["--release"] if self.release else []
        arguments += ["--profile", self.profile] if self.profile is not None else []
        arguments += ["--target", self.target] if self.target is not None else []
        arguments += self._for_cargo() + self._for_both()
        arguments += self._for_build() if cmd == "build" else self._for_develop()
        return arguments + (["--", *self.rustc_flags] if self.rustc_flags is not None else [])

    def _for_cargo(self) -> list[str]:
        arguments = []
        for name in (
            "quiet",
            "all_features",
            "no_default_features",
            "ignore_rust_version",
            "frozen",
            "locked",
            "offline",
        ):
            if getattr(self, name):
                arguments.append("--" + name.replace("_", "-"))
        if self.jobs is not None:
            arguments += ["--jobs", str(self.jobs)]
        if self.features:
            arguments += ["--features", ",".join(self.features)]
        if self.color is not None:
            arguments += ["--color", "always" if self.color else "never"]
        for name, value in (self.config or {}).items():
            arguments += ["--config", f"{name}={value}"]
        for flag in self.unstable_flags or []:
            arguments += ["-Z", flag]
        if self.verbose > 0:
            arguments.append("-" + "v" * self.verbose)
        return arguments

    def _for_both(self) -> list[str]:
        return ["--strip"] * self.strip + ["--generate-stubs"] * self.generate_stubs

    def _for_build(self) -> list[str]:
        audit = ["--auditwheel", self.auditwheel] if self.auditwheel is not None else []
        compatibility = ["--compatibility", self.compatibility] if self.compatibility is not None else []
        return audit + ["--zig"] * self.zig + compatibility

    def _for_develop(self) -> list[str]:
        arguments = ["--extras", ",".join(self.extras)] if self.extras else []
        for group in self.group or []:
            arguments += ["--group", group]
        return arguments + ["--uv"] * self.uv + ["--skip-install"] * self.skip_install

    def parts(self) -> Arguments:
        """The arguments, grouped by the tool or command that accepts them."""
        return {
            "cargo_arguments": replace(self, quiet=False, jobs=None, color=None, verbose=0)._for_cargo(),
            "run_arguments": MaturinSettings(
                quiet=self.quiet, jobs=self.jobs, color=self.color, verbose=self.verbose
            )._for_cargo(),
            "build_arguments": self._for_both() + self._for_build(),
            "develop_arguments": self._for_both() + self._for_develop(),
            "rustc_arguments": list(self.rustc_flags or []),
            "target": self.target,
        }

    def chosen_profile(self) -> str | None:
        """The profile that the settings choose, if any."""
        return self.profile or ("release" if self.release else None)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for short, long in [
        ("-r", "--release"),
        (None, "--strip"),
        ("-q", "--quiet"),
        (None, "--all-features"),
        (None, "--no-default-features"),
        (None, "--ignore-rust-version"),
        (None, "--frozen"),
        (None, "--locked"),
        (None, "--offline"),
        (None, "--zig"),
        (None, "--uv"),
        (None, "--skip-install"),
        (None, "--generate-stubs"),
    ]:
        parser.add_argument(*filter(None, (short, long)), action="store_true")
    parser.add_argument("-j", "--jobs", type=int)
    parser.add_argument("--profile")
    parser.add_argument("-F", "--features", action="append")
    parser.add_argument("--target")
    parser.add_argument("--color", choices=["always", "never", "auto"])
    parser.add_argument("--config", action="append")
    parser.add_argument("-Z", dest="unstable_flags", action="append")
    parser.add_argument("-v", "--verbose", action="count", default=0)
    parser.add_argument("--auditwheel", choices=["repair", "check", "warn", "skip"])
    parser.add_argument("--compatibility", "--manylinux")
    parser.add_argument("-E", "--extras", action="append")
    parser.add_argument("-G", "--group", action="append")
    return parser
