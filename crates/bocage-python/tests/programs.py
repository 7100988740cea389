"""Programs in processes of their own, and gates that hold a behavior up."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path


class Program:
    """A folder with a program in it."""

    def __init__(self, folder: Path, path: Path | None = None) -> None:
        self.folder = folder
        self.errors = ""
        self.environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment.pop("BOCAGE_WORKERS", None)
        self.environment.pop("BOCPY_WORKERS", None)
        if path is not None:
            self.environment["PYTHONPATH"] = str(path)

    def write(self, name: str, text: str) -> Path:
        """Put a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Run Python with these arguments in the folder; the caller ends it."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )

    def run(self, *arguments: str, text: str | None = None, fails: bool = False) -> str:
        """Run it to its end; returns what it printed, and keeps its errors."""
        with self.start(*arguments) as process:
            try:
                output, self.errors = process.communicate(
                    textwrap.dedent(text).lstrip("\n") if text is not None else "", timeout=60
                )
            except BaseException:
                process.kill()
                raise
        assert (process.returncode != 0) == fails, f"status {process.returncode}\n{output}{self.errors}"
        return output

    def interrupt(self, *arguments: str, times: int = 1) -> tuple[str, int]:
        """Run it, press Ctrl-C once it says "ready", and again if it is still there after a while.

        Returns what it printed after that, and its status.
        """
        with self.start(*arguments) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                for left in range(times - 1, -1, -1):
                    process.send_signal(signal.SIGINT)
                    try:
                        output, self.errors = process.communicate(timeout=3 if left else 60)
                        break
                    except subprocess.TimeoutExpired:
                        if not left:
                            raise
            except BaseException:
                process.kill()
                raise
        return output, process.returncode

    def main(self, text: str, fails: bool = False) -> str:
        """Write a script that has the public names, and run it."""
        header = "from bocage import Cown, Matrix, notice_read, notice_write, noticeboard, quiesce, start, wait, when, whencall\n"
        self.write("main.py", header + textwrap.dedent(text))
        return self.run("main.py", fails=fails)


class Gate:
    """A pipe: a behavior reads from one end until the test writes to the other.

    Reading gives up only the GIL of the interpreter that reads.
    """

    def __init__(self) -> None:
        self.end, self._other = os.pipe()

    def open(self, count: int = 1) -> None:
        """Let so many behaviors pass."""
        os.write(self._other, b"." * count)

    def close(self) -> None:
        """Let everybody pass, and end it."""
        os.close(self._other)
        self._other = -1

    def __del__(self) -> None:
        os.close(self.end)


def pass_gate(end: int) -> bool:
    """Stand at a gate; to be called in a behavior."""
    return os.read(end, 1) == b"."
