"""What a worker needs of the program's functions: the scheduling side.

Called from Rust, on cold paths only. The counterpart in a worker is
``_worker``; what one makes the other takes, and Rust carries it unread.

Interface
---------
``describe(func) -> Behavior``
    Once for each code object when ``func`` is a plain function without
    ``__wrapped__`` (then ``Behavior.cacheable``), else at each use. Raises the
    mistakes that can be seen without knowing the cowns.
``home_of(func) -> Home``
    Where its globals live. One ``Home`` for each namespace, kept.
``reach(home, behavior) -> Reach``
    The globals that must come from the scheduling side. Call it when a
    behavior is first scheduled, and again when one of ``Reach.watch`` is
    bound to another object (compare pointers; an absent one is null). Raises
    ``NameError``.
``at_build(home) -> Reach``
    The same for what the definitions themselves need. Call it when the
    namespace is first used, when it has more entries, and when one of its
    ``watch`` is rebound. ``build`` asks ``fetch`` for these, so have them
    there first; a value that does not cross is simply left out.
``instead_of(home, name, error) -> Reach``
    When a value of ``Reach.values`` does not cross: what evaluating its plain
    assignment in the worker needs (``needs`` holds the name itself; merge it
    with the rest). Raises ``TypeError`` from ``error`` if there is none.

A worker that is to run a behavior: ``build(home.payload, fetch)`` once for
each home with a payload, ``update`` for values sent since, ``require`` for
``Reach.needs``, ``resolve(behavior.record, values)`` once.
"""

import builtins
import inspect
import itertools
import marshal
import pickle
import sys
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from bocage._names import names_of
from bocage._pack import Packed, is_importable, lines_of, named, pack, pack_code
from bocage._reduction import Reduction, Statement, reduce_module
from bocage._source import source_of

# ------------------------------------------------------------------ functions


class Behavior(NamedTuple):
    """A function as it travels, and what Rust must know to call it."""

    name: str
    """``__qualname__``, for messages."""
    record: bytes
    """For ``_worker.resolve``. Equal functions have equal records."""
    values: tuple[Any, ...]
    """Values inside the record, to be encoded beside it. Empty for a plain
    function: its defaults are captures and travel with each behavior."""
    cacheable: bool
    """A plain function: the same for every function with this code."""
    positional: tuple[str, ...]
    """Parameters that can be given by position, in order."""
    defaults: int
    """How many of those, from the end, have a default."""
    keyword_only: tuple[str, ...]
    """Keyword-only parameters; all have a default."""
    varargs: bool
    """It has ``*args``, which takes the remaining cowns."""
    captures: bool
    """Captures are to be sent with each behavior. Otherwise (a decorated
    function, a builtin) they are in the record, or there are none to check."""
    loads: frozenset[str]
    """Globals that it, or code nested in it, loads."""
    perhaps: frozenset[str]
    """Globals whose absence is no mistake."""
    assigned: frozenset[str]
    """Globals that it assigns or deletes."""


def describe(func: Any) -> Behavior:
    """Check a function and make it ready to travel. See the module's text."""
    if isinstance(func, str) or not callable(func):
        raise TypeError(
            f"a behavior must be a function, not {type(func).__name__!r}: "
            "pass the function itself, whose name the worker looks up"
        )
    inner = _undecorated(func)
    if inner is not None:
        _check_kind(inner)
    found = named(func)
    if found is not None and not (isinstance(func, FunctionType) and func.__closure__ is None):
        return _by_name(func, found)
    if isinstance(func, FunctionType) and not hasattr(func, "__wrapped__"):
        _check_closure(func)
        return _plain(func)
    return _decorated(func, inner)


def _plain(func: FunctionType) -> Behavior:
    names = names_of(func.__code__)
    record = pack_code(func, home_of(func).key)
    return _behavior(func, func, record, (), names.loaded, names.perhaps, names.assigned, True)


def _by_name(func: Any, found: tuple[str, str]) -> Behavior:
    module, name = found
    if module == "__main__":
        loads = frozenset({name.partition(".")[0]})
    elif is_importable(sys.modules[module]):
        loads = frozenset()
    else:
        raise TypeError(f"{name!r} is in module {module!r}, which a worker cannot import")
    record = _pack_for(func, home_of(func), name)
    return _behavior(func, None, record.record, record.values, loads, frozenset(), frozenset(), False)


def _decorated(func: Any, inner: FunctionType | None) -> Behavior:
    name = getattr(inner or func, "__qualname__", None) or type(func).__qualname__
    if inner is not None:
        _check_closure(inner)
    elif not isinstance(func, (BuiltinFunctionType, type(len))) and not hasattr(func, "func"):
        made_by = type(func).__qualname__
        raise TypeError(
            f"{name!r} cannot be sent to a worker: a decorator below @when made it a {made_by!r} that neither can "
            "be imported by name nor has __wrapped__; apply functools.wraps in the decorator, "
            "or call the decorated function from the behavior's body"
        )
    packed = _pack_for(func, home_of(inner or func), name)
    names = [names_of(code) for code in _codes_in(func)]
    loads = frozenset().union(*(each.loaded for each in names))
    perhaps = frozenset().union(*(each.perhaps for each in names))
    assigned = frozenset().union(*(each.assigned for each in names))
    return _behavior(func, inner, packed.record, packed.values, loads, perhaps, assigned, False)


def _behavior(
    func: Any,
    signature: FunctionType | None,
    record: bytes,
    values: tuple[Any, ...],
    loads: frozenset[str],
    perhaps: frozenset[str],
    assigned: frozenset[str],
    cacheable: bool,
) -> Behavior:
    name = getattr(signature or func, "__qualname__", None) or type(func).__qualname__
    rest = (loads, perhaps, assigned)
    if signature is None:
        return Behavior(name, record, values, cacheable, (), 0, (), True, False, *rest)
    code = signature.__code__
    positional = code.co_varnames[: code.co_argcount]
    keyword_only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    for parameter in keyword_only:
        if parameter not in (signature.__kwdefaults__ or {}):
            raise TypeError(
                f"behavior {name!r}: keyword-only parameter {parameter!r} has no default, so nothing would be "
                f"passed for it; give it one: `{parameter}={parameter}`"
            )
    defaults = len(signature.__defaults__ or ())
    varargs = bool(code.co_flags & inspect.CO_VARARGS)
    return Behavior(name, record, values, cacheable, positional, defaults, keyword_only, varargs, cacheable, *rest)


def _undecorated(func: Any) -> FunctionType | None:
    """The plain function that wraps-style decorators lead to."""
    seen: set[int] = set()
    while id(func) not in seen:
        seen.add(id(func))
        wrapped = getattr(func, "__wrapped__", None)
        if wrapped is None and isinstance(func, FunctionType):
            return func
        func = wrapped if wrapped is not None else getattr(func, "func", None)
    return None


def _check_kind(func: FunctionType) -> None:
    flags = func.__code__.co_flags
    if flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        raise _syntax_error(
            func,
            f"behavior {func.__qualname__!r} is an async function: a worker runs it to its end, "
            "with no event loop; use a plain `def`, and `await` the cown it returns",
        )
    if flags & inspect.CO_GENERATOR:
        raise _syntax_error(
            func,
            f"behavior {func.__qualname__!r} is a generator: nobody would iterate it; "
            "return a list, or call the generator from the behavior's body",
        )


def _check_closure(func: FunctionType) -> None:
    free = func.__code__.co_freevars
    if not free:
        return
    if "__class__" in free:
        raise _syntax_error(
            func,
            f"behavior {func.__qualname__!r} uses super() or __class__, variables of the class statement around it; "
            "name the class: `super(Name, self)`",
        )
    variables = "variable " + repr(free[0]) if len(free) == 1 else "variables " + ", ".join(map(repr, free))
    passed = ", ".join(f"{name}={name}" for name in free)
    trailing = "it as a trailing parameter" if len(free) == 1 else "them as trailing parameters"
    raise _syntax_error(
        func,
        f"behavior {func.__qualname__!r} uses the {variables} of the function around it, "
        f"which does not exist where the behavior runs: pass {trailing}: `{passed}`",
    )


def _syntax_error(func: FunctionType, message: str) -> SyntaxError:
    code = func.__code__
    return SyntaxError(message, (code.co_filename, code.co_firstlineno, None, None))


def _codes_in(func: Any) -> Iterable[CodeType]:
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
        wrapped = getattr(thing, "__wrapped__", None)
        if wrapped is not None:
            pending.append(wrapped)


def _pack_for(thing: Any, home: "Home", name: str) -> Packed:
    try:
        return pack(thing, lambda namespace: _home_of_namespace(namespace).key, home.worker_defines)
    except (TypeError, pickle.PicklingError, AttributeError) as error:
        raise TypeError(f"{name!r} cannot be sent to a worker: {error}") from error


# --------------------------------------------------------------------- homes


class Home:
    """A namespace in which functions find their globals."""

    def __init__(self, key: str, namespace: dict[str, Any], payload: bytes, reduction: Reduction | None) -> None:
        self.key = key
        """The worker's name for it; a library module's own name."""
        self.namespace = namespace
        self.payload = payload
        """For ``_worker.build``; empty for a module that a worker imports."""
        self.reduction = reduction
        self.definitions: dict[str, list[Statement]] = {}
        for statement in reduction.definitions if reduction is not None else ():
            for name in statement.binds:
                self.definitions.setdefault(name, []).append(statement)

    def worker_defines(self, name: str) -> bool:
        """Whether a reference to this global of ``__main__`` resolves there."""
        if self.key != "__main__":
            return _home_of_namespace(vars(sys.modules["__main__"])).worker_defines(name)
        if name in self.definitions:
            return self.is_definition(name, self.namespace.get(name))
        return self.reduction is not None and name in self.reduction.assignments

    def binds(self, name: str) -> bool:
        """Whether the module's source defines this global anywhere."""
        return self.reduction is not None and name in self.reduction.bound

    def is_definition(self, name: str, value: object) -> bool:
        """Whether the worker's own definition gives an object like this one."""
        if name not in self.definitions or self.reduction is None:
            return False
        if name not in self.reduction.rebound and name not in self.reduction.behaviors:
            return True
        if isinstance(value, ModuleType):
            return True
        if isinstance(value, FunctionType):
            codes = {code for each in self.definitions[name] for code in each.code.co_consts}
            return value.__code__ in codes
        return isinstance(value, type) and value.__qualname__ == name


_homes: dict[int, Home] = {}
_numbers = itertools.count(1)


def home_of(func: Any) -> Home:
    """Where a callable's globals live. See the module's text."""
    inner = _undecorated(func)
    if inner is not None:
        return _home_of_namespace(inner.__globals__)
    module = sys.modules.get(getattr(func, "__module__", None) or type(func).__module__)
    return _home_of_namespace(vars(module) if isinstance(module, ModuleType) else vars(builtins))


def _home_of_namespace(namespace: dict[str, Any]) -> Home:
    home = _homes.get(id(namespace))
    if home is None:
        # It holds the namespace, so the id stays its own.
        home = _homes[id(namespace)] = _make_home(namespace)
    return home


def _make_home(namespace: dict[str, Any]) -> Home:
    name = namespace.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    in_place = module is not None and vars(module) is namespace
    if in_place and name != "__main__" and is_importable(module):
        return Home(str(name), namespace, b"", None)
    key = "__main__" if in_place and name == "__main__" else f"<namespace {next(_numbers)}>"
    reduction, lines = _reduce(namespace)
    return Home(key, namespace, _payload(key, namespace, reduction, lines), reduction)


def _reduce(namespace: dict[str, Any]) -> tuple[Reduction | None, dict[str, list[str]]]:
    source = source_of(namespace)
    if source is None:
        return None, {}

    def is_when(name: str) -> bool:
        found: Any = namespace
        for at, part in enumerate(name.split(".")):
            found = found.get(part) if at == 0 else getattr(found, part, None)
        return found is not None and found is _of_bocage("when")

    try:
        reduction = reduce_module(source.text, source.filename, is_when)
    except (SyntaxError, ValueError):
        # The text is not what runs: an edited file, a macro system.
        return None, {}
    has_file = bool(lines_of(compile("", source.filename, "exec"))) or source.filename.startswith("<")
    return reduction, {source.filename: source.text.splitlines(keepends=True)} if has_file else {}


def _of_bocage(name: str) -> Any:
    return getattr(sys.modules.get("bocage._bocage"), name, None)


def _payload(
    key: str, namespace: dict[str, Any], reduction: Reduction | None, lines: dict[str, list[str]]
) -> bytes:
    kept = ("__name__", "__file__", "__package__")
    spec = namespace.get("__spec__")
    described = {
        "key": key,
        "name": namespace.get("__name__"),
        "docstring": reduction.docstring if reduction is not None else namespace.get("__doc__"),
        "attributes": {name: namespace[name] for name in kept if name in namespace},
        "spec": None if spec is None else (spec.name, spec.origin, spec.submodule_search_locations is not None),
        "lines": lines,
        "definitions": [
            (marshal.dumps(each.code), each.binds, each.names.now) for each in (reduction.definitions if reduction else ())
        ],
        "assignments": {
            name: (marshal.dumps(each.code), each.binds, each.names.now)
            for name, each in (reduction.assignments if reduction else {}).items()
        },
    }
    return pickle.dumps(described, 5)


# --------------------------------------------------------------------- reach


class Reach(NamedTuple):
    """Globals that must come from the scheduling side."""

    values: tuple[tuple[str, Any], ...]
    """To be encoded like any value; cowns among them stay themselves."""
    packed: tuple[tuple[str, Packed], ...]
    """Functions, classes and modules that a worker cannot find by name. Their
    ``values`` are to be encoded; ``fetch`` gives ``_worker.unpack`` of them."""
    needs: tuple[str, ...]
    """For ``_worker.require``."""
    watch: tuple[str, ...]
    """Rebinding one of these makes this answer out of date."""


class _Walk:
    """Follows global names through the functions and classes of a home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.values: dict[str, Any] = {}
        self.packed: dict[str, Packed] = {}
        self.needs: set[str] = set()
        self.watch: set[str] = set()
        self.missing: list[str] = []
        self._seen: set[str] = set()

    def follow(self, names: Iterable[str]) -> "_Walk":
        pending = sorted(names, reverse=True)
        while pending:
            name = pending.pop()
            if name not in self._seen:
                self._seen.add(name)
                pending.extend(sorted(self._step(name) - self._seen, reverse=True))
        return self

    def reach(self) -> Reach:
        order = sorted(self.packed)
        return Reach(
            values=tuple(sorted(self.values.items(), key=lambda item: item[0])),
            packed=tuple((name, self.packed[name]) for name in order),
            needs=tuple(sorted(self.needs)),
            watch=tuple(sorted(self.watch)),
        )

    def _step(self, name: str) -> frozenset[str]:
        """Decide how one global travels; returns the names it leads to."""
        home = self.home
        if name.startswith("__") and name.endswith("__"):
            return frozenset()
        if name not in home.namespace:
            if hasattr(builtins, name) and not home.binds(name):
                return frozenset()
            self.watch.add(name)
            self.missing.append(name)
            return self._define(name) if name in home.definitions else frozenset()
        self.watch.add(name)
        value = home.namespace[name]
        if not home.payload:
            return self._step_of_library(name, value)
        if self._is_cown(value):
            self.values[name] = value
        elif home.is_definition(name, value):
            return self._define(name)
        elif isinstance(value, (FunctionType, type)) and named(value) != ("__main__", name):
            return self._step_of_code(name, value)
        elif isinstance(value, (FunctionType, type)):
            if home.worker_defines(name):
                self.needs.add(name)
                return home.reduction.assignments[name].names.loaded if home.reduction else frozenset()
            return self._step_of_code(name, value)
        elif isinstance(value, ModuleType):
            self._pack(name, value)
        else:
            self.values[name] = value
        return frozenset()

    def _step_of_library(self, name: str, value: object) -> frozenset[str]:
        # The worker imports the module and has all it has, but for the same
        # cowns, and for what a tool put there under a name that no source
        # can contain (pytest's assertion rewriting does).
        if self._is_cown(value):
            self.values[name] = value
        elif isinstance(value, ModuleType) and not name.isidentifier():
            self._pack(name, value)
        return frozenset()

    def _step_of_code(self, name: str, value: Any) -> frozenset[str]:
        found = named(value)
        if found is not None and found[0] != "__main__" and is_importable(sys.modules[found[0]]):
            self.values[name] = value
            return frozenset()
        self._pack(name, value)
        codes = _codes_of_class(value) if isinstance(value, type) else _codes_in(value)
        here = [names_of(code) for code in codes]
        return frozenset().union(*(names.loaded | names.perhaps for names in here))

    def _define(self, name: str) -> frozenset[str]:
        self.needs.add(name)
        return frozenset().union(
            *(each.names.loaded | each.names.perhaps for each in self.home.definitions[name] if not each.imports)
        )

    def _pack(self, name: str, value: object) -> None:
        self.packed[name] = _pack_for(value, self.home, name)

    def _is_cown(self, value: object) -> bool:
        cown = _of_bocage("Cown")
        return cown is not None and isinstance(value, cown)


def reach(home: Home, behavior: Behavior) -> Reach:
    """What a behavior needs of its globals. See the module's text."""
    walk = _Walk(home).follow(behavior.loads | behavior.perhaps)
    if home.payload:
        for name in walk.missing:
            if name in behavior.loads and name not in behavior.assigned and not home.binds(name):
                raise NameError(
                    f"behavior {behavior.name!r} uses the global {name!r}, which does not exist, is no builtin and is "
                    "defined nowhere in the module: define it before scheduling, or correct the name",
                    name=name,
                )
    return walk.reach()


def at_build(home: Home) -> Reach:
    """What the definitions of a home need by themselves. See the module's text."""
    walk = _Walk(home)
    if home.reduction is not None:
        walk.follow(itertools.chain.from_iterable(each.names.now for each in home.reduction.definitions))
    elif home.payload:
        # No source: a value may be of any class that is here, and whoever
        # decodes it in a worker finds the class under its name.
        for name, value in list(home.namespace.items()):
            if isinstance(value, type) and value.__module__ == home.namespace.get("__name__"):
                try:
                    walk.follow((name,))
                except TypeError:
                    continue
    return walk.reach()


def instead_of(home: Home, name: str, error: BaseException) -> Reach:
    """How to do without a value that does not cross. See the module's text."""
    assignment = home.reduction.assignments.get(name) if home.reduction is not None else None
    if assignment is None and not (home.reduction is not None and home.reduction.star):
        raise TypeError(
            f"the global {name!r} cannot be sent to a worker, and the module has no plain assignment "
            f"`{name} = …` that a worker could evaluate instead: {error}"
        ) from error
    walk = _Walk(home)
    walk._seen.add(name)
    walk.needs.add(name)
    if assignment is not None:
        walk.follow(assignment.names.loaded - {name})
    return walk.reach()


def _codes_of_class(made: type) -> Iterable[CodeType]:
    for member in vars(made).values():
        for part in (member, *(getattr(member, each, None) for each in ("__func__", "fget", "fset", "fdel"))):
            if callable(part):
                yield from _codes_in(part)
