"""What the tests share.

Worker interpreters import test modules, by the name that pytest gave them and
with what they import, so both folders are on the path.
"""

import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from programs import Gate, Program  # noqa: E402


def pytest_sessionstart() -> None:
    """Let programs be interrupted, though the tests may run in the background of a shell, which ignores Ctrl-C there."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A folder for a program that runs in a process of its own."""
    return Program(tmp_path)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Something for a behavior to stand at until the test lets it pass."""
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def rng() -> random.Random:
    """Random numbers whose seed is printed when the test fails."""
    seed = random.randrange(2**32)
    print("seed", seed)
    return random.Random(seed)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Ends the runtime after the test, whatever became of it."""
    yield
    import bocage

    bocage.wait(60)
