"""Errors keep their cause and attributes when they are pickled."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap

import pytest
import rustimport
from rustimport import errors

DIAGNOSTIC = errors.Diagnostic("error", "bad", code="E0308", file="/m.rs", line=3, column=5, rendered="error: bad")


@pytest.mark.parametrize(
    "error",
    [
        errors.RustImportError("what", hint="do", name="pkg.m", path="/m.rs"),
        errors.BuildError(
            "what",
            hint="do",
            diagnostics=[DIAGNOSTIC],
            rendered="error: bad",
            command=["maturin"],
            returncode=1,
            name="m",
        ),
        errors.ToolchainError("what", hint="do"),
        errors.LockTimeout("what", hint="do"),
        errors.ProjectError("what", hint="do", path="/m.rs"),
        errors.CacheError("what", hint="do", path="/cache"),
    ],
)
def test_pickle(error: errors.RustImportError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert (copy.__dict__, copy.name, copy.path, copy.args) == (error.__dict__, error.name, error.path, error.args)
    assert isinstance(copy, ImportError)


def test_text() -> None:
    assert str(errors.ToolchainError("what", hint="do this")) == "what\nhint: do this"
    build = errors.BuildError("what", rendered="error: bad", hint="mend")
    assert str(build) == "what\n\nerror: bad\n\nhint: mend"
    assert rustimport.BuildError is errors.BuildError


def test_logging_can_be_configured_at_any_time() -> None:
    """`dictConfig` removes handlers; a handler that the user added is left as it is."""
    code = """
        import io, logging, logging.config, threading
        from rustimport import _report
        def report(): _report.Reporter("m", "/m.rs", True)("finished", seconds=1.0)
        report()
        logging.config.dictConfig({"version": 1, "loggers": {"rustimport": {"level": "INFO"}}})
        report()
        mine = logging.StreamHandler(io.StringIO())
        mine.setLevel(logging.WARNING)
        logging.getLogger("rustimport").addHandler(mine)
        report()
        print(mine.level == logging.WARNING, mine.stream.getvalue() == "")
        _report._logger = None
        threads = [threading.Thread(target=report) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(mine.level == logging.WARNING)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["True"] * 3, run.stderr
    assert "Error" not in run.stderr


def test_elapsed_seconds_are_updated_without_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build script may print nothing for a minute. Meanwhile the core polls `is_cancelled`."""
    from rustimport import _report

    shown: list[str] = []

    class Line:
        def show(self, text: str, _done: int, _total: int) -> None:
            shown.append(text)

        def clear(self) -> None:
            shown.append("")

    now = [100.0]
    monkeypatch.setattr(_report, "_live_line", Line)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    reporter = _report.Reporter("m", "/m.rs", True)
    reporter("progress", done=1, total=2, what="serde")
    for _ in range(4):
        now[0] += 0.6
        assert not reporter.is_cancelled
    reporter("started", reason="`m.rs` changed")
    now[0] += 5
    assert not reporter.is_cancelled
    assert [text for text in shown if text] == [f"rustimport: m {second} s, 1/2: serde" for second in (0, 1, 2)]
