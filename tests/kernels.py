"""A real Jupyter kernel, controlled by the messages that a notebook sends."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from tests.conftest import Place


@dataclass
class Reply:
    """The output of a cell."""

    outputs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Types and contents of its messages, in their order."""

    number: int = 0
    """Its number in the notebook."""

    def text(self, stream: str) -> str:
        return "".join(
            content["text"] for kind, content in self.outputs if kind == "stream" and content["name"] == stream
        )

    @property
    def result(self) -> Any:
        """The value of the cell's last expression."""
        assert self.error is None, self.traceback
        return next(content["data"]["text/plain"] for kind, content in self.outputs if kind == "execute_result")

    @property
    def error(self) -> str | None:
        """The name of the exception that ended the cell."""
        return next((content["ename"] for kind, content in self.outputs if kind == "error"), None)

    @property
    def traceback(self) -> str:
        return "\n".join(line for kind, content in self.outputs if kind == "error" for line in content["traceback"])


class Kernel:
    """A kernel in a test's folder."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._manager = KernelManager()
        # The kernel of this environment, even if others are installed.
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self._manager._kernel_spec = KernelSpec(argv=command, language="python", display_name="Python")
        self.start()

    def start(self) -> None:
        # A separate home folder: no startup files, history or configuration of the user.
        home = str(self._place.folder.parent / "ipython")
        env = {**self._place.env, "IPYTHONDIR": home}
        self._manager.start_kernel(cwd=str(self._place.folder), env=env)
        self._connect()

    def _connect(self) -> None:
        self.client = self._manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def send(self, code: str, cell: str | None = None) -> str:
        """Sends a cell without waiting for the reply. `cell`: the notebook's id for it."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell} if cell else {})
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def wait(self, request: str) -> Reply:
        reply = Reply()
        while True:
            message = self.client.get_iopub_msg(timeout=300)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return reply
            if kind == "execute_input":
                reply.number = content["execution_count"]
            elif kind != "status":
                reply.outputs.append((kind, content))

    def run(self, code: str, cell: str | None = None) -> Reply:
        return self.wait(self.send(code, cell))

    def inspect(self, code: str) -> str:
        """The text that `?` shows."""
        content = self.client.inspect(code, reply=True, timeout=60)["content"]
        return str(content["data"].get("text/plain", ""))

    def complete(self, code: str) -> dict[str, Any]:
        content: dict[str, Any] = self.client.complete(code, reply=True, timeout=60)["content"]
        return content

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def kill(self) -> None:
        """Kills the kernel, which can be started again."""
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=True, restart=True)

    def stop(self) -> None:
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=True)
