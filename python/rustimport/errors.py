"""The exceptions of this package. Every one is an ``ImportError``: its message states what happened, and its ``hint``
what to do about it. All can be pickled."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "BuildError",
    "CacheError",
    "Diagnostic",
    "LockTimeout",
    "MaturinError",
    "ProjectError",
    "RustImportError",
    "ToolchainError",
]


class Diagnostic(NamedTuple):
    """One message of the compiler."""

    level: str
    """``error``, ``warning``, ..."""
    message: str
    code: str | None = None
    """``E0308``, or a lint's name."""
    file: str | None = None
    """Absolute path of the file; a label such as ``In[3]`` if the source is a string."""
    line: int | None = None
    """Counted from 1."""
    column: int | None = None
    """In characters, counted from 1."""
    rendered: str = ""
    """As rustc prints it."""
    rendered_ansi: str = ""
    """As rustc prints it on a terminal."""


class RustImportError(ImportError):
    """Base class of all errors of this package.

    Attributes:
        name: Full name of the module to import, or ``None``.
        path: The source, or the file or folder that caused the error, or ``None``.
        hint: What to do about it.
    """

    hint: str

    def __init__(self, message: str, *, hint: str = "", name: str | None = None, path: str | None = None) -> None:
        super().__init__(message, name=name, path=path)
        self.hint = hint

    @property
    def message(self) -> str:
        """What happened, in one line."""
        return str(self.args[0]) if self.args else ""

    @property
    def details(self) -> str:
        """Text that is shown below the message, such as the compiler's output."""
        return ""

    def __str__(self) -> str:
        parts = [self.message]
        if self.details:
            parts.append(f"\n{self.details}\n")
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)

    def _render_traceback_(self) -> list[str]:
        """Called by IPython to show the error."""
        from . import _notebook

        return _notebook.render(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, {**self.__dict__, "name": self.name, "path": self.path})


class MaturinError(RustImportError):
    """Base class of build and toolchain errors. ``maturin_import_hook`` has an exception of the same name."""


class BuildError(MaturinError):
    """The source did not compile, or the build produced no usable library.

    Attributes:
        diagnostics: The compiler's errors and warnings.
        rendered: The compiler's output, as text.
        command: The command that failed.
        returncode: Its exit status; 128 and more if a signal killed it.
    """

    diagnostics: list[Diagnostic]
    rendered: str
    command: list[str]
    returncode: int | None

    def __init__(
        self,
        message: str,
        *,
        diagnostics: list[Diagnostic] | None = None,
        rendered: str = "",
        command: list[str] | None = None,
        returncode: int | None = None,
        hint: str = "",
        name: str | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, name=name, path=path)
        self.diagnostics = diagnostics or []
        self.rendered = rendered
        self.command = command or []
        self.returncode = returncode

    @property
    def rendered_ansi(self) -> str:
        """The compiler's output, as on a terminal."""
        errors = [found.rendered_ansi.rstrip() for found in self.diagnostics if "error" in found.level]
        return "\n\n".join(errors) or self.rendered

    @property
    def details(self) -> str:
        return self.rendered


class ToolchainError(MaturinError):
    """cargo, rustc or maturin is missing, too old or broken."""


class LockTimeout(RustImportError):  # noqa: N818 (named like TimeoutError)
    """Another process has been building the same source for longer than the lock timeout."""


class ProjectError(RustImportError):
    """The source cannot be built as it is: its header, its module's name, its settings."""


class CacheError(RustImportError):
    """The cache folder cannot be used, because of its permissions, its owner, or a full disk."""


def of_loading(error: BaseException, name: str, library: str, source: str) -> RustImportError | None:
    """Our error for one that was raised while a library was loaded; ``None`` if the original should be raised."""
    text = str(error)
    if "failed to map segment" in text and ("not permitted" in text or "Permission denied" in text):
        return CacheError(
            f"the library of `{name}` cannot be loaded from {library}: {error}",
            hint="its file system is mounted `noexec`: set RUSTIMPORT_CACHE_DIR to a folder on another file system",
            name=name,
            path=source,
        )
    if type(error).__name__ != "PanicException":
        return None
    return RustImportError(
        f"`{name}` panicked when it was imported: {error}",
        hint="check its #[pymodule_init] or #[pymodule] function; RUST_BACKTRACE=1 shows where it panicked",
        name=name,
        path=source,
    )


def _restore(kind: type[RustImportError], args: tuple[Any, ...], state: dict[str, Any]) -> RustImportError:
    error = kind.__new__(kind, *args)
    ImportError.__init__(error, *args)
    for attribute, value in state.items():
        setattr(error, attribute, value)
    return error
