"""A census of Python code: what is in every .py file under a folder.

One behavior per file parses it and counts. It then schedules a second behavior that adds the counts
to two cowns: the tally of the file's package, and the grand total. No lock is in sight, and yet the
numbers must be those of the same work done sequentially: this program does that too, and compares.

    python census.py                        the standard library of this Python
    python census.py ~/src --workers 4      another folder
    python census.py --files 400 --compare  its 400 largest files, and how a process pool does

A tally is a plain dict: what was counted ("statements", "import os"), and how often.
"""

import argparse
import ast
import os
import sys
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from bocage import Cown, notice_read, notice_write, quiesce, start, wait, when


def examine(path: str) -> dict[str, int]:
    """Parses one file and counts what is in it."""
    tally = Counter(files=1)
    try:
        with warnings.catch_warnings(action="ignore"):  # of invalid escapes, say: the files' own business
            tree = ast.parse(Path(path).read_bytes(), path)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
        # The parser says RecursionError or MemoryError for code that is nested too deeply.
        tally["invalid"] = tally[f"invalid {path}: {type(error).__name__}: {error}"] = 1
        return dict(tally)
    # A stack of its own, so that deep nesting is no trouble here. Only blocks are walked: all that
    # is counted is a statement, and no statement hides inside an expression.
    blocks: list[tuple[ast.AST, int]] = [(tree, 0)]
    while blocks:
        parent, depth = blocks.pop()
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            for node in getattr(parent, field, ()):
                if isinstance(node, ast.stmt):
                    count(node, tally)
                    tally["nesting"] = max(tally["nesting"], depth)
                    # To the parser an `elif` is an `if` in an `else`, but it starts where its `if` does.
                    is_elif = isinstance(parent, ast.If) and node.col_offset == parent.col_offset
                    blocks.append((node, depth if is_elif else depth + 1))
                else:  # an `except` or a `case`: its body is one deeper than its `try` or `match`
                    blocks.append((node, depth))
    return dict(tally)


def count(node: ast.stmt, tally: Counter[str]) -> None:
    """Counts one statement, and the modules that it imports by their top-level names."""
    tally["statements"] += 1
    names: list[str] = []
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            tally["functions"] += 1
        case ast.ClassDef():
            tally["classes"] += 1
        case ast.Import():
            tally["imports"] += 1
            names = [alias.name for alias in node.names]
        case ast.ImportFrom():
            tally["imports"] += 1
            names = [node.module] if node.module and not node.level else []
    for name in names:
        tally["import " + name.partition(".")[0]] += 1


def add(tally: dict[str, int], more: dict[str, int]) -> None:
    """Adds the counts of `more` to `tally`."""
    for what, number in more.items():
        old = tally.get(what, 0)
        tally[what] = max(old, number) if what == "nesting" else old + number


def schedule(path: str, package: Cown[dict[str, int]], total: Cown[dict[str, int]]) -> None:
    """Schedules the two behaviors of one file."""

    @when()
    def _(path: str = path, package: Cown[dict[str, int]] = package, total: Cown[dict[str, int]] = total) -> None:
        counts = examine(path)

        @when(package, total)
        def _(package: Cown[dict[str, int]], total: Cown[dict[str, int]], counts: dict[str, int] = counts) -> None:
            add(package.value, counts)
            add(total.value, counts)
            notice_write("done", total.value["files"])


def by_behaviors(files: dict[str, str], workers: int) -> dict[str, dict[str, int]]:
    """The tally of each package, and the total under "" (no package is called that)."""
    begin = time.perf_counter()
    start(worker_count=workers)
    tallies = {package: Cown[dict[str, int]]({}) for package in {"", *files.values()}}
    for path, package in files.items():
        schedule(path, tallies[package], tallies[""])
    lively = sys.stderr.isatty()
    while True:
        try:
            quiesce(timeout=0.1 if lively else 2)
            break
        except TimeoutError:  # nothing is lost: there is more to do
            done, seconds = notice_read("done", 0), time.perf_counter() - begin
            line = f"{done:6} of {len(files)} files, {done / seconds:5.0f} a second"
            print(line, end="\r" if lively else "\n", file=sys.stderr, flush=True)
    result = {package: tally.unwrap() for package, tally in tallies.items()}
    wait()
    return result


def gather(files: dict[str, str], counted: Iterable[dict[str, int]]) -> dict[str, dict[str, int]]:
    """The same out of counts that come in the order of `files`."""
    result: dict[str, dict[str, int]] = {package: {} for package in {"", *files.values()}}
    for package, counts in zip(files.values(), counted, strict=True):
        add(result[package], counts)
        add(result[""], counts)
    return result


def by_processes(files: dict[str, str], workers: int) -> dict[str, dict[str, int]]:
    """The same by a process pool."""
    # Not above: each worker runs the program's imports, and no behavior needs this one.
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(workers) as pool:
        return gather(files, pool.map(examine, files))


def find(folder: Path, most: int) -> dict[str, str]:
    """The path of every .py file, the largest first, and its package: the folder it is in."""
    sizes: dict[Path, int] = {}
    for path in folder.rglob("*.py"):
        if path.is_file() and "site-packages" not in path.relative_to(folder).parts:
            # Reads all of it, so that whoever counts first does not pay for a cold disk.
            sizes[path] = len(path.read_bytes())
    # The largest first: a large one begun last would leave the other workers with nothing to do.
    largest = sorted(sizes, key=lambda path: (-sizes[path], path))[:most]
    return {str(path): ".".join(path.parent.relative_to(folder).parts) or "(top)" for path in largest}


def report(tallies: dict[str, dict[str, int]]) -> None:
    """Prints the largest packages, the most imported modules and the invalid files."""
    columns = ("files", "statements", "functions", "classes", "imports", "nesting")
    print("package".ljust(24), *(f"{column:>10}" for column in columns))
    largest = sorted(filter(None, tallies), key=lambda package: -tallies[package].get("statements", 0))
    for package in largest[:10] + [""]:
        numbers = (f"{tallies[package].get(column, 0):10,}" for column in columns)
        print((package or "all of them").ljust(24), *numbers)
    total = tallies[""]
    modules = sorted((-total[what], what.split()[1]) for what in total if what.startswith("import "))
    print("\nmost imported:", ", ".join(f"{name} {-times:,}" for times, name in modules[:10]))
    print(f"\nnot valid Python: {total.get('invalid', 0)} of {total['files']} files")
    for what in sorted(what for what in total if what.startswith("invalid ")):
        print(" ", what.removeprefix("invalid "))


def timed[T](work: Callable[[], T]) -> tuple[T, float]:
    """What `work` returns, and the seconds it took."""
    begin = time.perf_counter()
    return work(), time.perf_counter() - begin


def main() -> int:
    """Takes the census both ways, and says whether they agree: 0 if so, else 1."""
    library = Path(sysconfig.get_path("stdlib"))
    parser = argparse.ArgumentParser(description="A census of the .py files under a folder, by behaviors.")
    parser.add_argument("folder", nargs="?", type=Path, default=library, help=f"default: {library}")
    parser.add_argument("--files", type=int, metavar="N", default=sys.maxsize, help="only the N largest files")
    parser.add_argument("--workers", type=int, metavar="N", default=os.cpu_count(), help="default: %(default)s")
    parser.add_argument("--compare", action="store_true", help="also time concurrent.futures.ProcessPoolExecutor")
    options = parser.parse_args()
    folder, workers = options.folder, options.workers
    if min(options.files, workers) < 1:
        parser.error("--files and --workers take a number above 0")
    if not (files := find(folder, options.files)):
        parser.error(f"there is no .py file under {folder}")
    print(f"{len(files)} files under {folder}, {workers} workers, Python {sys.version.split()[0]}\n")

    # The pool goes first, while this process has no other threads, because it may fork.
    pooled = timed(lambda: by_processes(files, workers)) if options.compare else None
    counted, seconds = timed(lambda: by_behaviors(files, workers))
    report(counted)
    expected, alone = timed(lambda: gather(files, map(examine, files)))
    print(f"\nsequentially         {alone:6.2f} s")
    print(f"by behaviors         {seconds:6.2f} s, speed-up {alone / seconds:.2f}")
    if pooled:
        print(f"ProcessPoolExecutor  {pooled[1]:6.2f} s, speed-up {alone / pooled[1]:.2f}")
    identical = counted == expected and (not pooled or pooled[0] == expected)
    answer = f"identical: {'yes' if identical else 'no'}, speed-up {alone / seconds:.2f} with {workers} workers"
    print(f"\ncensus: {len(files)} files, {answer}")
    return 0 if identical else 1


if __name__ == "__main__":
    sys.exit(main())
