"""Small benchmarks of libraries with the API of Bocage, side by side.

    python micro.py bocage bocpy
    python micro.py bocage bocpy --cases spawn bank --rounds 9 --json rows.json

Each case runs in one child process for each library, so that no library sees what another did. The
children take turns, round by round, so that a slow moment of the machine hits all of them; the one
that is not measured is stopped meanwhile. The first round is a warm-up and is not counted. The start
of the runtime is not in the time.

The table has the median microseconds for one behavior. A ratio is the median of the other library
over that of the first: above 1 means that the first is faster. Beside it stand the lowest and the
highest ratio of any round: where they lie far apart, the machine was busy with something else.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
NAMES = "Cown, Matrix, quiesce, start, wait, when"


class Case(NamedTuple):
    """One thing that is measured. A round has `times` times `at_once` behaviors."""

    what: str
    times: int
    at_once: int = 1


CASES = {
    "spawn": Case("one behavior on each of many new cowns", 20_000),
    "fan-out": Case("behaviors that schedule one on each of 256 cowns", 80, 257),
    "contended": Case("all behaviors on one cown", 20_000),
    "bank": Case("transfers between two of 1000 cowns", 10_000),
    "chain": Case("a behavior schedules the next on the cown that it holds", 10_000),
    "list-hop": Case("a list of 1000 ints leaves an interpreter and enters the next", 20, 64),
    "dict-hop": Case("the same with a dict of 1000 ints", 20, 64),
    "bytes-hop": Case("the same with bytes of 1 MiB, replaced each time", 8, 64),
    "matrix-hop": Case("the same with a 1000x1000 Matrix", 40, 32),
    "list-chain": Case("chain, with a list of 1000 ints in the cown", 1_000),
    "dict-chain": Case("chain, with a dict of 1000 ints in the cown", 1_000),
    "bytes-chain": Case("chain, with bytes of 1 MiB in the cown, replaced each time", 500),
    "matrix-chain": Case("chain, with a 1000x1000 Matrix in the cown", 5_000),
}


class Failed(Exception):
    """A child ended, or took too long, where it should have answered."""


class Child:
    """A process that runs rounds of one case for one library."""

    def __init__(self, library: str, case: str, workers: int, folder: Path, timeout: float) -> None:
        """`folder` is for the module that gives the library its neutral name."""
        shim = folder / library
        shim.mkdir(exist_ok=True)
        (shim / "boc.py").write_text(f"from {library} import {NAMES}\n")
        paths = [str(shim), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.timeout = timeout
        self.errors = tempfile.TemporaryFile("w+", dir=folder)
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "cases.py"), case, str(workers)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def round(self, count: int) -> float:
        """The microseconds for one behavior, in a round of `count`."""
        assert self.process.stdin and self.process.stdout
        self.signal("SIGCONT")
        alarm = threading.Timer(self.timeout, self.process.kill)
        alarm.start()
        begin = time.monotonic()
        try:
            self.process.stdin.write(f"{count}\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            alarm.cancel()
        if not answer:
            overdue = time.monotonic() - begin >= self.timeout
            raise Failed(f"no answer within {self.timeout:g} s" if overdue else self.last_words())
        self.signal("SIGSTOP")
        return float(answer) / count * 1e6

    def last_words(self) -> str:
        """What the child said when it ended."""
        status = self.process.wait(self.timeout)
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return f"exit status {status}" + "".join(f"\n    {line}" for line in lines[-8:])

    def signal(self, name: str) -> None:
        """Stops the child or lets it go on, where the system has signals for that."""
        if hasattr(signal, name):
            self.process.send_signal(getattr(signal, name))

    def end(self) -> None:
        """Ends the process, by force if it has not ended in time."""
        self.signal("SIGCONT")
        try:
            self.process.communicate(timeout=self.timeout)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()
        self.errors.close()


def measure(case: str, libraries: list[str], options: argparse.Namespace) -> dict[str, list[float] | Failed]:
    """For each library the microseconds of each round, or why there are none."""
    count = max(1, round(CASES[case].times * options.scale)) * CASES[case].at_once
    results: dict[str, list[float] | Failed] = {library: [] for library in libraries}
    children: dict[str, Child] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for turn in range(options.rounds + 1):  # the first is the warm-up
                for library in libraries:
                    times = results[library]
                    if isinstance(times, Failed):
                        continue
                    try:
                        if turn == 0:
                            children[library] = Child(library, case, options.workers, Path(folder), options.timeout)
                        microseconds = children[library].round(count)
                    except Failed as failure:
                        results[library] = failure
                        continue
                    if turn:
                        times.append(microseconds)
        finally:
            for child in children.values():
                child.end()
    return results


def row(case: str, peer: str | None, workers: int, ours: float, theirs: float | None) -> dict[str, object]:
    """One row of the JSON file. Without a second library there is no peer, nor what comes of one."""
    return {
        "suite": "micro",
        "case": case,
        "peer": peer,
        "workers": workers,
        "ours": round(ours, 3),
        "theirs": None if theirs is None else round(theirs, 3),
        "unit": "us/behavior",
        "ratio": None if theirs is None else round(theirs / ours, 3),
    }


def parse() -> argparse.Namespace:
    """What the command line says."""
    cases = "\n".join(f"  {name:12} {case.what}" for name, case in CASES.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"cases:\n{cases}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("libraries", nargs="+", metavar="LIBRARY", help="module names; the others against the first")
    parser.add_argument("--cases", nargs="+", metavar="CASE", choices=CASES, default=list(CASES), help="default: all")
    parser.add_argument("--workers", type=int, metavar="N", default=2, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, metavar="N", default=7, help="counted rounds; default: %(default)s")
    parser.add_argument("--scale", type=float, metavar="X", default=1.0, help="X times as many behaviors a round")
    parser.add_argument("--timeout", type=float, metavar="S", default=120.0, help="for one round; default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the medians and ratios there too")
    options = parser.parse_args()
    if min(options.workers, options.rounds) < 1 or min(options.scale, options.timeout) <= 0:
        parser.error("--workers, --rounds, --scale and --timeout take a number above 0")
    options.libraries = list(dict.fromkeys(options.libraries))
    for library in options.libraries:
        if not library.isidentifier() or importlib.util.find_spec(library) is None:
            parser.error(f"{sys.executable} has no module {library!r}; install it there first")
    return options


def version(library: str) -> str:
    """The library with its version, where its distribution says it."""
    try:
        return f"{library} {importlib.metadata.version(library)}"
    except importlib.metadata.PackageNotFoundError:
        return library


def main() -> int:
    """Runs the cases and prints the table: 0 if all of them gave a result, else 1."""
    options = parse()
    ours, *peers = options.libraries
    print(f"{platform.python_implementation()} {platform.python_version()}, {options.workers} workers, ", end="")
    print(f"{options.rounds} rounds, us per behavior: {', '.join(map(version, options.libraries))}\n")
    print("case".ljust(12), *(f"{library:>12}" for library in options.libraries), end="")
    print("".join(f"{f'{peer}/{ours}':>24}" for peer in peers))
    rows: list[dict[str, object]] = []
    failures: list[str] = []
    for case in options.cases:
        print(case.ljust(12), end="", flush=True)
        counted: dict[str, list[float]] = {}
        for library, times in measure(case, options.libraries, options).items():
            if isinstance(times, Failed):
                failures.append(f"{case}, {library}: {times}")
                print(f"{'failed':>13}", end="")
            else:
                counted[library] = times
                print(f"{median(times):13.2f}", end="")
        if not peers and ours in counted:
            rows.append(row(case, None, options.workers, median(counted[ours]), None))
        for peer in peers:
            if ours in counted and peer in counted:
                one, other = median(counted[ours]), median(counted[peer])
                rows.append(row(case, peer, options.workers, one, other))
                each = [theirs / mine for mine, theirs in zip(counted[ours], counted[peer], strict=True)]
                print(f"{other / one:10.2f} ({min(each):5.2f}-{max(each):5.2f})", end="")
            else:
                print(f"{'-':>24}", end="")
        print(flush=True)
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
