"""The namespaces in which the program's functions find their globals."""

import bisect
import builtins
import itertools
import marshal
import os
import pickle
import sys
import weakref
from collections.abc import Iterable
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from bocage import _worker
from bocage._pack import Packed, is_importable, pack
from bocage._progress import is_at_end, module_frame, passed
from bocage._reduction import Reduction, Statement, reduce_module
from bocage._source import Source, source_of


class Home:
    """A namespace in which functions find their globals."""

    def __init__(
        self,
        key: str,
        namespace: dict[str, Any],
        is_library: bool,
        reduction: Reduction | None,
        payload: bytes,
        filename: str = "",
    ) -> None:
        self.filename = filename
        """What the code objects of its source say."""
        self.key = key
        """The worker's name for it; a library module's own name."""
        self.namespace = namespace
        self.payload = payload
        """For ``_worker.build``."""
        self.is_library = is_library
        """A worker imports it, so only cowns come from here."""
        self.reduction = reduction
        self.definitions: dict[str, list[Statement]] = {}
        for statement in reduction.definitions if reduction is not None else ():
            for name in statement.binds:
                self.definitions.setdefault(name, []).append(statement)
        self.ends = _ends_of(reduction)
        """Where its statements end, in order."""
        self.ran = 0
        """How many of them the program is past, as far as is known."""
        self._frame: FrameType | None = None

    def look(self) -> int:
        """Find out how far the program is, and return ``ran``."""
        if self.ran < len(self.ends):
            self.ran = max(self.ran, self._find_out())
        return self.ran

    @property
    def code(self) -> CodeType | None:
        """The module's own code, if it was seen to run."""
        return self._frame.f_code if self._frame is not None else None

    def _find_out(self) -> int:
        here = _worker.definitions_of(self.namespace)
        if here is not None:
            return here.ran
        if self._frame is None:
            # Kept, so that its place can be told from other threads, too.
            self._frame = module_frame(self.namespace, self.filename)
        frame = self._frame
        return len(self.ends) if frame is None or is_at_end(frame) else passed(frame, self.ends)

    def has_run(self, statement: Statement) -> bool:
        """Whether the program is past this statement."""
        return bisect.bisect_left(self.ends, statement.end) < self.ran

    def assignment(self, name: str) -> Statement | None:
        """The last plain assignment to this global that the program made."""
        found = self.reduction.assignments.get(name, ()) if self.reduction is not None else ()
        return next((each for each in reversed(found) if self.has_run(each)), None)

    def worker_defines(self, name: str) -> bool:
        """Whether a reference to this global of ``__main__`` resolves there."""
        if self.key != "__main__":
            return home_of_main().worker_defines(name)
        if name in self.definitions:
            return self.is_definition(name, self.namespace.get(name))
        return self.assignment(name) is not None

    def binds(self, name: str) -> bool:
        """Whether the module's source defines this global anywhere."""
        return self.reduction is not None and name in self.reduction.bound

    def may_come_by_star(self, name: str) -> bool:
        """Whether it is a star import that the worker repeats that bound it."""
        return self.reduction is not None and self.reduction.star and not self.binds(name)

    def is_definition(self, name: str, value: object) -> bool:
        """Whether the worker's own definition gives an object like this one."""
        defined = self.definitions.get(name, ())
        ran = [each for each in defined if self.has_run(each)]
        if not ran or self.reduction is None:
            return False
        if len(ran) < len(defined) and not all(each.imports for each in defined):
            # The worker may run the others, for later behaviors, before it comes to this one.
            return False
        if name not in self.reduction.rebound and name not in self.reduction.behaviors:
            return True
        if isinstance(value, ModuleType):
            return True
        if isinstance(value, FunctionType):
            codes = {code for each in ran for code in each.code.co_consts}
            return value.__code__ in codes
        return isinstance(value, type) and value.__qualname__ == name


# Whoever schedules keeps a home, and so its namespace, for as long as a run
# lasts; that of ``__main__`` is asked for by the others too.
_homes: weakref.WeakValueDictionary[int, Home] = weakref.WeakValueDictionary()
_main: Home | None = None
_numbers = itertools.count(1)


def home_of(func: Any) -> Home:
    """Where a callable's globals live. See the module's text."""
    inner = undecorated(func)
    if inner is not None:
        return home_of_namespace(inner.__globals__)
    module = sys.modules.get(getattr(func, "__module__", None) or type(func).__module__)
    return home_of_namespace(vars(module) if isinstance(module, ModuleType) else vars(builtins))


def home_of_namespace(namespace: dict[str, Any]) -> Home:
    global _main
    home = _homes.get(id(namespace))
    if home is None:
        # It holds the namespace, so the id stays its own.
        home = _homes[id(namespace)] = _make_home(namespace)
        if home.key == "__main__":
            _main = home
    return home


def home_of_main() -> Home:
    """The home of the program's main module."""
    return home_of_namespace(vars(sys.modules["__main__"]))


def forget() -> None:
    """Let go of the program's main module."""
    global _main
    _main = None


def _make_home(namespace: dict[str, Any]) -> Home:
    name = namespace.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    in_place = module is not None and vars(module) is namespace
    if in_place and name != "__main__" and is_importable(module):
        described: dict[str, object] = {
            "key": name,
            "library": True,
            "origin": _file_of(module),
            "definitions": (),
            "assignments": {},
        }
        return Home(str(name), namespace, True, None, pickle.dumps(described, 5))
    here = _worker.definitions_of(namespace)
    if here is not None:
        key = here.key
    elif in_place and name == "__main__":
        key = "__main__"
    else:
        # Other interpreters number theirs, too.
        key = f"<namespace {id(_numbers):x}.{next(_numbers)}>"
    source = source_of(namespace)
    reduction, lines = _reduce(namespace, source)
    payload = _payload(key, namespace, reduction, lines)
    return Home(key, namespace, False, reduction, payload, source.filename if source is not None else "")


def _reduce(namespace: dict[str, Any], source: Source | None) -> tuple[Reduction | None, dict[str, list[str]]]:
    if source is None:
        return None, {}

    def is_when(name: str) -> bool:
        found: Any = namespace
        for at, part in enumerate(name.split(".")):
            found = found.get(part) if at == 0 else getattr(found, part, None)
        return found is not None and found is native("when")

    try:
        reduction = reduce_module(source.text, source.filename, is_when)
    except (SyntaxError, ValueError):
        # The text is not what runs: an edited file, a macro system.
        return None, {}
    if os.path.exists(source.filename):
        return reduction, {}
    return reduction, {source.filename: source.text.splitlines(keepends=True)}


def native(name: str) -> Any:
    return getattr(sys.modules.get("bocage._bocage"), name, None)


def _payload(key: str, namespace: dict[str, Any], reduction: Reduction | None, lines: dict[str, list[str]]) -> bytes:
    kept = ("__name__", "__file__", "__package__")
    spec = namespace.get("__spec__")
    described: dict[str, object] = {
        "key": key,
        "library": False,
        "name": namespace.get("__name__"),
        "docstring": reduction.docstring if reduction is not None else namespace.get("__doc__"),
        "attributes": {name: namespace[name] for name in kept if name in namespace},
        "spec": None if spec is None else (spec.name, spec.origin, spec.submodule_search_locations is not None),
        "lines": lines,
        "definitions": [],
        "assignments": {},
    }
    if reduction is not None:
        ends = _ends_of(reduction)

        def describe(each: Statement) -> tuple[object, ...]:
            needs, rank = _needed_by(each, reduction), bisect.bisect_left(ends, each.end)
            return marshal.dumps(each.code), each.binds, needs, each.names.loaded, rank, each.calls

        described["definitions"] = [describe(each) for each in reduction.definitions]
        described["assignments"] = {
            name: [describe(each) for each in found] for name, found in reduction.assignments.items()
        }
    return pickle.dumps(described, 5)


def _ends_of(reduction: Reduction | None) -> list[tuple[int, int]]:
    if reduction is None:
        return []
    assignments = itertools.chain.from_iterable(reduction.assignments.values())
    return sorted({each.end for each in itertools.chain(reduction.definitions, assignments)})


def _needed_by(statement: Statement, reduction: Reduction) -> frozenset[str]:
    """The globals that running a statement loads, also in functions it calls."""
    needed: set[str] = set()
    pending = set(statement.names.now)
    while pending:
        name = pending.pop()
        needed.add(name)
        for each in reduction.definitions:
            if name in each.binds and not each.imports:
                pending |= each.names.loaded - needed
    return frozenset(needed)


def _file_of(module: object) -> str | None:
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return origin if isinstance(origin, str) and os.path.exists(origin) else None


def undecorated(func: Any) -> FunctionType | None:
    """The plain function that wraps-style decorators lead to."""
    seen: set[int] = set()
    while id(func) not in seen:
        seen.add(id(func))
        wrapped = getattr(func, "__wrapped__", None)
        if wrapped is None and isinstance(func, FunctionType):
            return func
        func = wrapped if wrapped is not None else getattr(func, "func", None)
    return None


def codes_in(func: Any) -> Iterable[CodeType]:
    """The code of a decorated function and of every function inside it."""
    pending, seen = [func], set()
    while pending:
        thing = pending.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, FunctionType):
            yield thing.__code__
            for cell in thing.__closure__ or ():
                try:
                    pending.append(cell.cell_contents)
                except ValueError:
                    continue
        pending += (getattr(thing, name, None) for name in ("__wrapped__", "func", "__func__"))


CANNOT_TRAVEL = (TypeError, AttributeError, pickle.PicklingError)


def key_of(namespace: dict[str, Any]) -> str:
    return home_of_namespace(namespace).key


def _key_for(home: Home, namespace: dict[str, Any]) -> str:
    found = home_of_namespace(namespace)
    if found is not home and not found.is_library and found.key != "__main__":
        raise TypeError(f"it finds its globals in a namespace ({namespace.get('__name__')!r}) that workers do not have")
    return found.key


def pack_for(thing: Any, home: "Home", name: str) -> Packed:
    try:
        return pack(thing, lambda namespace: _key_for(home, namespace), home.worker_defines)
    except CANNOT_TRAVEL as error:
        raise TypeError(f"{name!r} cannot be sent to a worker: {error}") from error
