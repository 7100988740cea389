"""Imports in a worker: refused ones, private cowns, and forgetting them.

While module code runs in a worker, a cown that it makes is not the program's
own: the program made its own when it ran the same code.
"""

import copyreg
import functools
import gc
import importlib
import importlib.machinery
import linecache
import os
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

_REFUSAL = "does not support loading in subinterpreters"
_ADVICE = (
    "Workers are interpreters of their own, and this extension module refuses to be loaded there: "
    "do the work that needs it in the main program, on the values of cowns after wait()"
)


def explain(error: BaseException) -> None:
    """Say what to do about a refused import. See the module's text."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    refused = any(isinstance(each, ImportError) and _REFUSAL in str(each) for each in chain)
    if refused and not any(_ADVICE in getattr(each, "__notes__", ()) for each in chain):
        error.add_note(_ADVICE)


class _ModuleCode:
    """Counts how deep this interpreter is in code of modules."""

    def __init__(self) -> None:
        self.depth = 0
        self.notify: Callable[[int], object] = _ignore

    def __enter__(self) -> None:
        self.depth += 1
        self.notify(self.depth)

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        self.notify(self.depth)


def _ignore(_: int) -> None:
    return None


module_code = _ModuleCode()


class _ImportWatch:
    """The first finder: counts while a module written in Python runs."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is _ImportWatch or find is None:
                continue
            spec = find(name, path, target)
            if spec is not None:
                if name == "_pydatetime":
                    _then(spec.loader, _pass_for_datetime)
                else:
                    _count_while_it_runs(spec.loader)
                return spec
        return None


def _count_while_it_runs(loader: Any) -> None:
    if not isinstance(loader, importlib.machinery.SourceFileLoader) or _is_installed(loader.path):
        return
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        # The loader outlives the import; leave it as it was.
        del loader.exec_module
        with module_code:
            execute(module)

    vars(loader)["exec_module"] = exec_module


def _then(loader: Any, afterwards: Callable[[ModuleType], None]) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module
        execute(module)
        afterwards(module)

    vars(loader)["exec_module"] = exec_module


def _pass_for_datetime(module: ModuleType) -> None:
    """Make what is pickled here load elsewhere.

    On 3.12 a worker's ``datetime`` is the Python version, as the C version
    refuses sub-interpreters. Its pickles name the wrong module, and those of
    a time zone hold attributes that the C version does not have.
    """
    for thing in vars(module).values():
        if isinstance(thing, type) and thing.__module__ == module.__name__:
            thing.__module__ = "datetime"
    copyreg.pickle(module.timezone, lambda zone: (type(zone), zone.__getinitargs__()))


def warn_private_cown() -> None:
    """Warn that the cown being made belongs to this worker alone."""
    frame: Any = sys._getframe()
    level = 1
    while frame.f_back is not None and frame.f_code.co_name != "<module>":
        frame, level = frame.f_back, level + 1
    if frame.f_code.co_name != "<module>":
        level = 2
    warnings.warn(
        "this cown is made while a worker imports the module: it is private to that worker. "
        "Pass the program's cown to the behavior instead",
        RuntimeWarning,
        stacklevel=level,
    )


def watch_imports(notify: Callable[[int], object] | None) -> None:
    """From now on, tell ``notify`` how deep module code runs."""
    module_code.notify = notify or _ignore
    _installed_under.cache_clear()
    if _ImportWatch not in sys.meta_path:
        sys.meta_path.insert(0, _ImportWatch)
    importlib.invalidate_caches()


def forget_program() -> None:
    """Drop the modules that belong to the program from this interpreter."""
    for name, module in list(sys.modules.items()):
        if _is_of_the_program(name, module):
            del sys.modules[name]
    linecache.clearcache()
    gc.collect()


def _is_of_the_program(name: str, module: object) -> bool:
    if name == "__main__" or name.partition(".")[0] == "bocage":
        return False
    spec = getattr(module, "__spec__", None)
    if spec is None:
        return type(module) is ModuleType and "__file__" in vars(module)
    if isinstance(spec.loader, importlib.machinery.ExtensionFileLoader):
        # An extension module may not survive being loaded a second time.
        return False
    if spec.origin in ("built-in", "frozen"):
        return False
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    return not all(isinstance(place, str) and _is_installed(place) for place in places)


def _is_installed(path: str) -> bool:
    return os.path.realpath(path).startswith(_installed_under())


@functools.cache
def _installed_under() -> tuple[str, ...]:
    # Not by sysconfig: it costs each new worker some milliseconds.
    folders = [os.path.dirname(os.__file__)]
    folders += (folder for folder in sys.path if os.path.basename(folder) in ("site-packages", "dist-packages"))
    return tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)
