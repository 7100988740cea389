"""What a worker's interpreter does in Python: rebuild, look up, clean up.

Called from Rust, on cold paths only: once for each program, function and
rebound global, never once for each behavior. All state is of one interpreter.

Interface
---------
``prepare(path, argv, notify)``
    When an interpreter starts or is taken into use again: sets ``sys.path``
    and ``sys.argv``, and from now on calls ``notify(depth)`` whenever module
    code begins or stops to run here. While ``depth`` is above 0, a cown made
    is private to this worker: call ``warn_private_cown()``.
``build(payload, fetch)``
    Makes the namespace that ``_definitions.Home.payload`` describes, or
    imports it: then raises ``ImportError`` if that fails,
    and can be called again. ``fetch(name)`` gives the value that the scheduling side
    sent for a global, decoded, or raises ``LookupError`` if it sent none. It
    is kept, and called whenever a definition needs such a value.
``advance(key, ran)``
    Runs the definitions that the program is past, as ``Home.look`` tells.
``update(key, names)``
    These globals were sent (again): takes each from ``fetch`` and binds it.
``require(key, names)``
    Makes sure that these definitions exist, as far as they can. What failed
    (an import that refuses sub-interpreters) is bound to a stand-in whose
    first use raises ``ImportError``. True if nothing failed: it need not be
    called again for them, unless one is sent.
``resolve(record, values)``
    The callable of a ``_definitions.Behavior``: its ``record``, and its
    ``values`` decoded (a tuple, mostly empty). Keep the result for this
    interpreter. Raises ``ImportError`` where its module cannot be imported.
``unpack(record, values)``
    The same for a ``_pack.Packed`` global: for use by ``fetch``.
``explain(error)``
    Adds to an exception, which a body raised here, the sentence on what to do
    when an import refused sub-interpreters. Harmless for any other.
``reset()``
    Before the interpreter is parked: forgets what belongs to the program.
"""

import collections
import functools
import importlib
import importlib.machinery
import importlib.util
import io
import linecache
import marshal
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from types import CellType, FunctionType, MappingProxyType
from typing import Any

from bocage._imports import explain, forget_program, module_code, warn_private_cown, watch_imports
from bocage._rebuilt import Definitions, Fetch, Rebuilt

__all__ = [
    "advance",
    "build",
    "explain",
    "prepare",
    "require",
    "reset",
    "resolve",
    "unpack",
    "update",
    "warn_private_cown",
]

_homes: dict[str, Definitions] = {}
_original_main = sys.modules.get("__main__")


def build(payload: bytes, fetch: Fetch) -> None:
    """Make a namespace and run its definitions. See the module's text."""
    described = pickle.loads(payload)
    key = described["key"]
    if described["library"]:
        _homes[key] = Definitions(described, fetch, _import(key, described["origin"]))
        return
    module = Rebuilt(described, fetch)
    for name in ("__file__", "__package__", "__builtins__"):
        vars(module).pop(name, None)
    vars(module).update(described["attributes"])
    vars(module)["__builtins__"] = sys.modules["builtins"]
    if described["spec"] is not None:
        name, origin, is_package = described["spec"]
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, origin=origin, is_package=is_package)
    for filename, lines in described["lines"].items():
        _remember_lines(filename, lines)
    _homes[key] = module._bocage_definitions
    if key == "__main__":
        sys.modules["__main__"] = module


def advance(key: str, ran: int) -> None:
    """Run what the program ran. See the module's text."""
    _homes[key].advance(ran)


def update(key: str, names: Iterable[str]) -> None:
    """Bind values that were sent. See the module's text."""
    for name in names:
        _homes[key].take_again(name)


def require(key: str, names: Iterable[str]) -> bool:
    """Make definitions exist. See the module's text."""
    return all([_homes[key].demand(name) for name in names])


def definitions_of(namespace: dict[str, Any]) -> Definitions | None:
    """What was built as this very namespace, if it was."""
    return next((each for each in _homes.values() if each.namespace is namespace), None)


def _namespace(key: str) -> dict[str, Any]:
    if key in _homes:
        return _homes[key].namespace
    return _import(key, None)


def _import(name: str, origin: str | None) -> dict[str, Any]:
    """The namespace of a module, imported by name or else from its file.

    The file is for modules that the program loaded from a place that is not on
    its path, as test runners and plugin systems do.
    """
    try:
        return vars(importlib.import_module(name))
    except ImportError as error:
        is_missing = (
            isinstance(error, ModuleNotFoundError)
            and error.name is not None
            and f"{name}.".startswith(f"{error.name}.")
        )
        if origin is None or not is_missing or not os.path.exists(origin):
            explain(error)
            raise
    spec = importlib.util.spec_from_file_location(name, origin)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r} in a worker", name=name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with module_code:
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return vars(module)


# ----------------------------------------------------------------- unpacking


def resolve(record: bytes, values: Sequence[object]) -> Any:
    """Load a behavior's function. See the module's text."""
    return unpack(record, values)


def unpack(record: bytes, values: Sequence[object]) -> Any:
    """Load what ``_pack.pack`` packed. See the module's text."""
    try:
        return _Unpacker(io.BytesIO(record), values).load()
    except ImportError as error:
        explain(error)
        raise


class _Unpacker(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, values: Sequence[object]) -> None:
        super().__init__(buffer)
        self._values = values

    def persistent_load(self, index: int) -> object:
        return self._values[index]


def make_function(
    key: str,
    code: bytes,
    name: str,
    qualname: str,
    module: str | None,
    doc: str | None,
    lines: tuple[str, ...],
    closure: tuple[CellType, ...] = (),
) -> FunctionType:
    """A function from its code, in the namespace of its module."""
    loaded = marshal.loads(code)
    _remember_lines(loaded.co_filename, lines)
    function = FunctionType(loaded, _namespace(key), name, None, closure or None)
    function.__qualname__ = qualname
    function.__doc__ = doc
    if module is not None:
        function.__module__ = module
    return function


def finish_function(function: FunctionType, state: tuple[Any, ...]) -> None:
    """Give a function what may refer back to it."""
    defaults, keyword_defaults, contents, attributes = state
    function.__defaults__ = defaults
    function.__kwdefaults__ = keyword_defaults or None
    for cell, content in zip(function.__closure__ or (), contents):
        if content:
            cell.cell_contents = content[0]
    vars(function).update(attributes)


def make_cell() -> CellType:
    """An empty closure cell."""
    return CellType()


def make_proxy(mapping: dict[str, object]) -> MappingProxyType[str, object]:
    """A read-only mapping; its type has no name that pickle would find."""
    return MappingProxyType(mapping)


def make_cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    """A function under ``functools.lru_cache``, with an empty cache."""
    return functools.lru_cache(maxsize, typed)(function)


def make_class(metaclass: type, name: str, bases: tuple[type, ...], module: str, slots: object) -> type:
    """A class without its members."""
    namespace: dict[str, object] = {"__module__": module}
    if slots is not None:
        namespace["__slots__"] = slots
    made: type = metaclass(name, bases, namespace)
    return made


def make_named_tuple(
    name: str, fields: tuple[str, ...], defaults: Sequence[object], module: str, doc: str | None
) -> type:
    """What ``collections.namedtuple`` makes."""
    made: type = collections.namedtuple(name, fields, defaults=defaults, module=module)  # type: ignore[misc]
    made.__doc__ = doc
    return made


def finish_class(made: type, members: dict[str, object]) -> None:
    """Give a class its members, which may refer back to it."""
    for name, member in members.items():
        setattr(made, name, member)


def _remember_lines(filename: str, lines: Sequence[str]) -> None:
    if lines:
        # Without a modification time the entry is never checked for a file.
        linecache.cache[filename] = (sum(map(len, lines)), None, list(lines), filename)


# -------------------------------------------------------------- start and end


def prepare(path: Sequence[str], argv: Sequence[str], notify: Callable[[int], object] | None = None) -> None:
    """Make the interpreter ready for a program. See the module's text."""
    sys.path[:] = path
    sys.argv[:] = argv
    watch_imports(notify)


def reset() -> None:
    """Forget what belongs to the program. See the module's text."""
    _homes.clear()
    if _original_main is not None:
        sys.modules["__main__"] = _original_main
    homes = sys.modules.get("bocage._homes")
    if homes is not None:
        homes.forget()
    forget_program()
