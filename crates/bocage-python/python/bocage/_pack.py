"""Functions, classes and modules as bytes that another interpreter can load.

What the worker can import goes by name. What it cannot (a function at the
prompt, a wrapper that a decorator made, a class in a notebook) goes by code:
a function as its code, defaults, closure and attributes; a class as its
metaclass, bases and members. Values that such a function carries along in
defaults and closure are not packed but listed beside, because cowns and
matrices among them travel by pointer, which only the runtime can do.
"""

import abc
import collections
import dataclasses
import functools
import importlib
import inspect
import io
import linecache
import marshal
import os
import pickle
import sys
from collections.abc import Callable
from types import (
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

from bocage import _worker

HomeKey = Callable[[dict[str, Any]], str]
"""The key under which a worker finds the namespace that a function uses."""

InWorker = Callable[[str], bool]
"""Whether a worker's ``__main__`` will have a definition of this name."""


class Packed(NamedTuple):
    """An object for ``_worker.unpack``."""

    record: bytes
    values: tuple[Any, ...]
    """Values that the record refers to by number, for the runtime to encode."""
    origins: tuple[str, ...]
    """Where each was found, for messages."""
    names: frozenset[str]
    """Globals of ``__main__`` that the record refers to by name."""


def pack(thing: object, home_key: HomeKey, in_worker: InWorker, *, by_code: bool = True) -> Packed:
    """Pack a callable, a class or a module; by name alone without ``by_code``.

    Raises ``pickle.PicklingError``, ``TypeError`` or ``AttributeError`` for
    what cannot travel; the caller says which name and what to do.
    """
    buffer = io.BytesIO()
    packer = _Packer(buffer, thing, home_key, in_worker, by_code)
    packer.dump(thing)
    return Packed(buffer.getvalue(), tuple(packer.values), tuple(packer.origins), frozenset(packer.names))


def pack_code(function: FunctionType, key: str) -> bytes:
    """Pack a plain function without its defaults: they are captures."""
    return pickle.dumps(_Reduced(_worker.make_function, _identity(function, key)), 5)


class _Reduced:
    def __init__(self, make: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self.parts = make, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.parts


def named(thing: object) -> tuple[str, str] | None:
    """The module and qualified name under which this very object is found."""
    module = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        return None
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return (module, name) if found is thing else None


def is_importable(module: object) -> bool:
    """Whether another interpreter gets this module by importing its name."""
    if not isinstance(module, ModuleType) or sys.modules.get(module.__name__) is not module:
        return False
    return module.__name__ != "__main__" and getattr(module, "__spec__", None) is not None


class _Packer(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, root: object, home_key: HomeKey, in_worker: InWorker, by_code: bool) -> None:
        super().__init__(buffer, protocol=5)
        found = named(root) if isinstance(root, (FunctionType, type)) else None
        self._root = found[1].partition(".")[0] if found is not None and found[0] == "__main__" else None
        self.names: set[str] = set()
        self.values: list[Any] = []
        self.origins: list[str] = []
        self._indices: dict[int, int] = {}
        self._home_key = home_key
        self._in_worker = in_worker
        self._by_code = by_code

    def persistent_id(self, thing: object) -> int | None:
        if isinstance(thing, _Value):
            index = self._indices.setdefault(id(thing.value), len(self.values))
            if index == len(self.values):
                self.values.append(thing.value)
                self.origins.append(thing.origin)
            return index
        if type(thing).__module__.partition(".")[0] == "bocage" and not isinstance(thing, _OWN):
            return self.persistent_id(_Value(thing, f"a {type(thing).__name__} in it"))
        return None

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, ModuleType):
            if not is_importable(thing):
                raise TypeError(f"module {thing.__name__!r} cannot be imported in a worker")
            return importlib.import_module, (thing.__name__,)
        if isinstance(thing, FunctionType):
            return NotImplemented if self._by_name(thing) or not self._by_code else self._function(thing)
        if isinstance(thing, type):
            return NotImplemented if self._by_name(thing) or not self._by_code else self._class(thing)
        if isinstance(thing, CellType):
            return _worker.make_cell, ()
        if isinstance(thing, functools._lru_cache_wrapper) and not self._by_name(thing):
            parameters = thing.cache_parameters()
            return _worker.make_cached, (thing.__wrapped__, parameters["maxsize"], parameters["typed"])
        if isinstance(thing, (classmethod, staticmethod)):
            return type(thing), (thing.__func__,)
        if isinstance(thing, MappingProxyType):
            return _worker.make_proxy, (dict(thing),)
        if isinstance(thing, property):
            return property, (thing.fget, thing.fset, thing.fdel, thing.__doc__)
        if type(thing) in (type(dataclasses._FIELD), type(dataclasses.MISSING), type(dataclasses.KW_ONLY)):  # type: ignore[attr-defined]
            for name in ("_FIELD", "_FIELD_CLASSVAR", "_FIELD_INITVAR", "MISSING", "KW_ONLY"):
                if getattr(dataclasses, name) is thing:
                    return getattr, (dataclasses, name)
        return NotImplemented

    def _by_name(self, thing: object) -> bool:
        found = named(thing)
        if found is None:
            return False
        module, name = found
        if module == "__main__":
            top = name.partition(".")[0]
            if top == self._root and not self._in_worker(top):
                return False
            self.names.add(top)
            return True
        return is_importable(sys.modules[module])

    def _function(self, function: FunctionType) -> tuple[object, ...]:
        identity = _identity(function, self._home_key(function.__globals__))
        code = function.__code__
        here = f"of {code.co_qualname!r}"
        contents: list[tuple[object, ...]] = []
        for name, cell in zip(code.co_freevars, function.__closure__ or ()):
            try:
                contents.append((self._carry(cell.cell_contents, f"the variable {name!r} {here}"),))
            except ValueError:
                contents.append(())
        defaults = function.__defaults__ or ()
        parameters = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
        state = (
            function.__defaults__
            and tuple(self._carry(value, f"the parameter {name!r} {here}") for name, value in zip(parameters, defaults)),
            {
                name: self._carry(value, f"the parameter {name!r} {here}")
                for name, value in (function.__kwdefaults__ or {}).items()
            },
            tuple(contents),
            {name: self._carry(value, f"the attribute {name!r} {here}") for name, value in vars(function).items()},
        )
        arguments = (*identity, function.__closure__ or ())
        return _worker.make_function, arguments, state, None, None, _worker.finish_function

    def _carry(self, value: object, origin: str) -> object:
        """A function or class goes into the record, anything else beside it."""
        travels_as_code = (FunctionType, type, ModuleType, MethodType, functools.partial, functools._lru_cache_wrapper)
        if value is None or isinstance(value, travels_as_code):
            return value
        if callable(value) and hasattr(value, "__wrapped__"):
            return value
        return _Value(value, origin)

    def _class(self, made: type) -> Any:
        if not made.__flags__ & _HEAP_TYPE:
            return NotImplemented
        if _is_named_tuple(made):
            # Its methods find their globals where no worker can.
            here = f"of {made.__qualname__!r}"
            given = vars(made)["_field_defaults"].items()
            defaults = [self._carry(value, f"the default of {name!r} {here}") for name, value in given]
            members = {name: member for name, member in vars(made).items() if name not in vars(_plain_twin(made))}
            recipe = (made.__name__, vars(made)["_fields"], defaults, made.__module__, made.__doc__)
            return _worker.make_named_tuple, recipe, members, None, None, _worker.finish_class
        if type(made) not in (type, abc.ABCMeta):
            raise TypeError(
                f"class {made.__qualname__!r} cannot travel to a worker: its metaclass "
                f"{type(made).__qualname__!r} needs the class statement itself; define it in a module"
            )
        members = {
            name: member
            for name, member in vars(made).items()
            if name not in _MADE_ANEW and not isinstance(member, (GetSetDescriptorType, MemberDescriptorType))
        }
        try:
            members["__annotations__"] = inspect.get_annotations(made)
        except NameError:
            # Names that only a type checker knows; nobody reads them here.
            pass
        slots = vars(made).get("__slots__")
        arguments = (type(made), made.__name__, made.__bases__, made.__module__, slots)
        return _worker.make_class, arguments, members, None, None, _worker.finish_class


def _is_named_tuple(made: type) -> bool:
    globals_of_new = getattr(made.__new__, "__globals__", {})
    return made.__bases__ == (tuple,) and globals_of_new.get("__name__") == f"namedtuple_{made.__name__}"


def _plain_twin(made: type) -> type:
    twin: type = collections.namedtuple(made.__name__, vars(made)["_fields"])  # type: ignore[misc]
    return twin


_MADE_ANEW = frozenset(
    {"__dict__", "__weakref__", "__slots__", "_abc_impl", "__annotate__", "__annotate_func__", "__annotations_cache__"}
)
"""Members of a class that making the class gives it, or that hold its body's
namespace."""

_HEAP_TYPE = 1 << 9
"""``Py_TPFLAGS_HEAPTYPE``: made by a class statement, not in C."""


class _Value:
    def __init__(self, value: object, origin: str) -> None:
        self.value = value
        self.origin = origin


_OWN = (_Value, _Reduced)


def _identity(function: FunctionType, key: str) -> tuple[object, ...]:
    code = function.__code__
    return (
        key,
        marshal.dumps(code),
        function.__name__,
        function.__qualname__,
        function.__module__,
        function.__doc__,
        lines_of(code),
    )


def lines_of(code: CodeType) -> tuple[str, ...]:
    """The source lines of a code object that has no file, for tracebacks."""
    filename = code.co_filename
    if os.path.exists(filename):
        return ()
    lines = linecache.getlines(filename)
    if not lines and hasattr(linecache, "_getlines_from_code"):
        lines = linecache._getlines_from_code(code)
    return tuple(lines)
