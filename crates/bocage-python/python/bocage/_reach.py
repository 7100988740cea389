"""Which globals a behavior needs from the scheduling side, and how each goes."""

import builtins
import itertools
import sys
from collections.abc import Iterable
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple, Protocol

from bocage._homes import Home, codes_in, home_of_main, native, pack_for
from bocage._names import names_of
from bocage._pack import Packed, is_importable, named
from bocage._unavailable import Unavailable


class Loader(Protocol):
    """What loads globals: a ``_definitions.Behavior``."""

    @property
    def name(self) -> str: ...
    @property
    def loads(self) -> frozenset[str]: ...
    @property
    def perhaps(self) -> frozenset[str]: ...
    @property
    def assigned(self) -> frozenset[str]: ...


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
    classes: tuple[str, ...]
    """Classes of ``__main__`` among them: from now on any value may have one."""


class _Walk:
    """Follows global names through the functions and classes of a home."""

    def __init__(self, home: Home, strict: bool = True) -> None:
        self.home = home
        self.strict = strict
        """What cannot travel is an error, not left out."""
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
                try:
                    found = self._step(name)
                except TypeError:
                    if self.strict:
                        raise
                    continue
                pending.extend(sorted(found - self._seen, reverse=True))
        return self

    def reach(self) -> Reach:
        order = sorted(self.packed)
        return Reach(
            values=tuple(sorted(self.values.items(), key=lambda item: item[0])),
            packed=tuple((name, self.packed[name]) for name in order),
            needs=tuple(sorted(self.needs)),
            watch=tuple(sorted(self.watch)),
            classes=tuple(filter(self._is_class, order + sorted(self.needs))) if self.home.key == "__main__" else (),
        )

    def _is_class(self, name: str) -> bool:
        value = self.home.namespace.get(name)
        return issubclass(type(value), type) and getattr(value, "__module__", None) == "__main__"

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
            ahead = any(not each.calls for each in home.definitions.get(name, ()))
            return self._define(name) if ahead else frozenset()
        self.watch.add(name)
        value = home.namespace[name]
        if type(value) is Unavailable:
            # Scheduled in a worker, which does not have it; another may.
            self.needs.add(name)
            return frozenset()
        if home.is_library:
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
                assignment = home.assignment(name)
                return assignment.names.loaded if assignment is not None else frozenset()
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
        try:
            packed = self._pack(name, value)
        except TypeError:
            # Bound again further down, so that the worker's own may be the later one; better than none.
            if not any(map(self.home.has_run, self.home.definitions.get(name, ()))):
                raise
            return self._define(name)
        codes = _codes_of_class(value) if isinstance(value, type) else codes_in(value)
        here = [names_of(code) for code in codes]
        return packed.names.union(*(names.loaded | names.perhaps for names in here))

    def _define(self, name: str) -> frozenset[str]:
        self.needs.add(name)
        return frozenset().union(
            *(each.names.loaded | each.names.perhaps for each in self.home.definitions[name] if not each.imports)
        )

    def _pack(self, name: str, value: object) -> Packed:
        packed = self.packed[name] = pack_for(value, self.home, name)
        return packed

    def _is_cown(self, value: object) -> bool:
        cown = native("Cown")
        return cown is not None and isinstance(value, cown)


def reach(home: Home, behavior: Loader) -> Reach:
    """What a behavior needs of its globals. See the module's text."""
    walk = _Walk(home).follow(behavior.loads | behavior.perhaps)
    if not home.is_library:
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
    walk = _Walk(home, strict=home.reduction is not None)
    if home.reduction is not None:
        ran = filter(home.has_run, home.reduction.definitions)
        walk.follow(itertools.chain.from_iterable(each.names.now for each in ran))
    elif not home.is_library:
        # No source: a value may be of any class that is here, and whoever
        # decodes it in a worker finds the class under its name.
        for name, value in list(home.namespace.items()):
            if issubclass(type(value), type) and value.__module__ == home.namespace.get("__name__"):
                walk.follow((name,))
    return walk.reach()


def beside(home: Home, names: Iterable[str]) -> Reach:
    """What these functions and classes need. See ``_definitions``."""
    return _Walk(home, strict=False).follow(names).reach()


def spread(thing: Any) -> str | None:
    """Check that workers can have a class or function. See ``_definitions``."""
    found = named(thing)
    if found is None or found[0] != "__main__":
        return None
    name = found[1].partition(".")[0]
    home = home_of_main()
    home.look()
    if not home.worker_defines(name) and name not in home.definitions:
        pack_for(home.namespace[name], home, name)
    return name


def instead_of(home: Home, name: str, error: BaseException) -> Reach:
    """How to do without a value that does not cross. See the module's text."""
    assignment = home.assignment(name)
    if assignment is None and not home.may_come_by_star(name):
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
                yield from codes_in(part)
