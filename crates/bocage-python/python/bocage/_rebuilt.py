"""A worker's copy of a namespace, made from its definitions.

Each definition runs once, in the order of the source. One that fails is bound
to a stand-in, and is tried again when somebody asks for its name and what it
missed may have come meanwhile. What a definition needs of the program's other
globals it gets first: the value that was sent, or else what the plain
assignment in the source gives here.
"""

import marshal
from collections.abc import Callable, Iterable
from types import CodeType, ModuleType
from typing import Any

from bocage._imports import module_code
from bocage._unavailable import Unavailable, error_of

Fetch = Callable[[str], object]


class Rebuilt(ModuleType):
    """The worker's copy of a namespace that cannot be imported.

    Definitions that could not run yet are tried again when somebody asks for
    them, because they may have needed a value that was sent only later.
    """

    # A slot, because the module's own dictionary belongs to the program.
    __slots__ = ("_bocage_definitions",)

    def __init__(self, payload: dict[str, Any], fetch: Fetch) -> None:
        super().__init__(payload["name"] or "__main__", payload["docstring"])
        self._bocage_definitions = Definitions(payload, fetch, vars(self))

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if type(value) is Unavailable:
            if not name.startswith("__") and self._bocage_definitions.make(name):
                value = super().__getattribute__(name)
            if type(value) is Unavailable:
                raise error_of(value)
        return value

    def __getattr__(self, name: str) -> Any:
        # Pickle comes here, for a class that a value refers to by name.
        if not name.startswith("__") and self._bocage_definitions.make(name):
            return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} of the worker has no attribute {name!r}")


class Definitions:
    """Which definitions of a namespace ran, and how to run the others."""

    def __init__(self, payload: dict[str, Any], fetch: Fetch, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self.fetch = fetch
        self.statements = [
            _Statement(marshal.loads(code), binds, needs) for code, binds, needs in payload["definitions"]
        ]
        self.assignments = {
            name: _Statement(marshal.loads(code), binds, needs)
            for name, (code, binds, needs) in payload["assignments"].items()
        }
        self.by_name: dict[str, list[_Statement]] = {}
        for statement in self.statements:
            for name in statement.binds:
                self.by_name.setdefault(name, []).append(statement)
        self._taking: set[str] = set()

    def run_all(self) -> None:
        for statement in self.statements:
            self.run(statement)

    def has(self, name: str) -> bool:
        """Whether a global is bound, and not to a stand-in."""
        return name in self.namespace and type(self.namespace[name]) is not Unavailable

    def make(self, name: str) -> bool:
        """Bring a global into being, by whatever way there is."""
        if self.has(name):
            return True
        for statement in self.by_name.get(name, ()):
            self.run(statement)
        return self.has(name) or self._take(name) or self._assign(name)

    def take_again(self, name: str) -> None:
        """Bind the value that was sent last."""
        try:
            self.namespace[name] = self.fetch(name)
        except LookupError:
            self.make(name)
        except BaseException as error:
            self._fail({name}, error)

    def run(self, statement: "_Statement") -> None:
        """Run a definition, unless it ran or can never run."""
        if statement.done or statement.running:
            return
        statement.running = True
        try:
            self._make_all(statement.needs - statement.binds)
            with module_code:
                exec(statement.code, self.namespace)
            statement.done = True
        except BaseException as error:
            # A name that is missing may still be sent; all else stays wrong.
            statement.done = not isinstance(error, NameError)
            self._fail(statement.binds, error)
        finally:
            statement.running = False

    def _make_all(self, names: frozenset[str]) -> None:
        for name in sorted(names):
            self.make(name)

    def _fail(self, names: Iterable[str], error: BaseException) -> None:
        for name in names:
            if not self.has(name):
                self.namespace[name] = Unavailable(name, error)

    def _take(self, name: str) -> bool:
        # The value of `T = TypeVar("T")` refers to the global T by name.
        if name in self._taking:
            return False
        self._taking.add(name)
        try:
            value = self.fetch(name)
        except LookupError:
            return False
        except BaseException as error:
            # Perhaps it refers to the very class that now waits for it, as a
            # registry does; then its assignment will do for the moment.
            if not self._assign(name):
                self._fail({name}, error)
            return self.has(name)
        finally:
            self._taking.discard(name)
        if not self.has(name):
            self.namespace[name] = value
        return True

    def _assign(self, name: str) -> bool:
        statement = self.assignments.get(name)
        if statement is None or statement.running:
            return False
        statement.running = True
        try:
            self._make_all(statement.needs)
            # It may bind other names too, and those may have come by value.
            bound: dict[str, Any] = {}
            with module_code:
                exec(statement.code, self.namespace, bound)
            for other, value in bound.items():
                if not self.has(other):
                    self.namespace[other] = value
        except BaseException as error:
            self._fail({name}, error)
            return False
        finally:
            statement.running = False
        return True


class _Statement:
    def __init__(self, code: CodeType, binds: frozenset[str], needs: frozenset[str]) -> None:
        self.code = code
        self.binds = binds
        self.needs = needs
        self.done = False
        self.running = False
