"""A worker's copy of a namespace, made from its definitions.

Each definition runs once, in the order of the source, as soon as there is a
behavior that was scheduled after the program ran it. One that fails is bound
to a stand-in, and is tried again when somebody asks for its name and what it
missed may have come meanwhile. What a definition needs of the program's other
globals it gets first: the value that was sent, or else what the plain
assignment in the source gives here.
"""

import builtins
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
        elif name != "_bocage_definitions" and not name.startswith("__"):
            # Pickle comes here, for a class that a value refers to by name.
            definitions = self._bocage_definitions
            if not definitions.is_whole(name):
                definitions.complete(name)
        return value

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            definitions = self._bocage_definitions
            if definitions.make(name) or definitions.catch_up(name):
                return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} of the worker has no attribute {name!r}")


class Definitions:
    """Which definitions of a namespace ran, and how to run the others."""

    def __init__(self, payload: dict[str, Any], fetch: Fetch, namespace: dict[str, Any]) -> None:
        self.key: str = payload["key"]
        self.namespace = namespace
        self.fetch = fetch
        self.ran = 0
        """The program is past statements of a lower rank."""
        self.statements = [_Statement(*each) for each in payload["definitions"]]
        self.assignments = {
            name: [_Statement(*each) for each in found] for name, found in payload["assignments"].items()
        }
        self.by_name: dict[str, list[_Statement]] = {}
        for statement in self.statements:
            for name in statement.binds:
                self.by_name.setdefault(name, []).append(statement)
        self._taking: set[str] = set()
        self._advancing = False
        """Nobody asked for what runs now."""
        self._sent: set[str] = set()
        """Names bound to what was sent for them."""
        self._own: dict[str, Any] = {}
        """What definitions made for such names."""
        self._whole: set[str] = set()

    def advance(self, ran: int) -> None:
        """Run what the program ran."""
        if ran > self.ran:
            self.ran = ran
            before, self._advancing = self._advancing, True
            try:
                for statement in self.statements:
                    if statement.rank < ran:
                        self.run(statement)
            finally:
                self._advancing = before

    def catch_up(self, name: str) -> bool:
        """Have a global that a value refers to: the program is past it, then."""
        makers = self.by_name.get(name, []) + self.assignments.get(name, [])
        ranks = [each.rank for each in makers if each.rank >= self.ran]
        if not ranks:
            return False
        self.advance(min(ranks) + 1)
        return self.make(name)

    def has(self, name: str) -> bool:
        """Whether a global is bound, and not to a stand-in."""
        return name in self.namespace and type(self.namespace[name]) is not Unavailable

    def demand(self, name: str) -> bool:
        """Have a global as the worker's own definition makes it."""
        if name in self._sent and name in self._own:
            self._sent.discard(name)
            self.namespace[name] = self._own.pop(name)
        return self.make(name)

    def make(self, name: str) -> bool:
        """Bring a global into being, by whatever way there is."""
        if self.has(name):
            return True
        for statement in self.by_name.get(name, ()):
            if statement.rank < self.ran:
                self.run(statement)
        return self.has(name) or self._take(name) or self._run_ahead(name) or self._assign(name)

    def complete(self, name: str) -> None:
        """Take what a definition refers to, as far as it was sent.

        For one that is part of a value: the behavior may be older than the
        value, and then it does not know what that needs.
        """
        pending, seen, missing = [name], {name}, False
        while pending:
            for statement in self.by_name.get(pending.pop(), ()):
                for read in statement.reads - seen:
                    seen.add(read)
                    if read in self.by_name:
                        pending.append(read)
                    elif read not in self.namespace and not hasattr(builtins, read):
                        missing = not self._take(read) or missing
        if not missing:
            self._whole.add(name)

    def is_whole(self, name: str) -> bool:
        """Whether ``complete`` has nothing left to do."""
        return name in self._whole or name not in self.by_name

    def take_again(self, name: str) -> None:
        """Bind the value that was sent last."""
        try:
            value = self.fetch(name)
        except LookupError:
            self.make(name)
        except BaseException as error:
            self._fail({name}, error)
        else:
            if name not in self._sent and name in self.by_name and self.has(name):
                self._own[name] = self.namespace[name]
            self._sent.add(name)
            self.namespace[name] = value

    def run(self, statement: "_Statement") -> None:
        """Run a definition, unless it ran or can never run."""
        if statement.done or statement.running:
            return
        statement.running = True
        sent = {name: self.namespace[name] for name in statement.binds & self._sent if name in self.namespace}
        try:
            self._make_all(statement.needs - statement.binds)
            with module_code:
                exec(statement.code, self.namespace)
            # One that ran ahead of the program runs again in its turn.
            statement.done = statement.rank < self.ran
            self._own.update((name, self.namespace[name]) for name in sent)
            self.namespace.update(sent)
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

    def _run_ahead(self, name: str) -> bool:
        # Defined below where the behavior was scheduled: nobody can tell
        # whether it ran already, if running it calls nobody.
        for statement in self.by_name.get(name, ()):
            if statement.rank >= self.ran and not statement.calls:
                self.run(statement)
                if self.has(name):
                    return True
        return False

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
            if not self._assign(name) and not self._advancing:
                self._fail({name}, error)
            return self.has(name)
        finally:
            self._taking.discard(name)
        if not self.has(name):
            self.namespace[name] = value
        return True

    def _assign(self, name: str) -> bool:
        made = (each for each in reversed(self.assignments.get(name, ())) if each.rank < self.ran)
        statement = next(made, None)
        if statement is None or statement.running:
            return False
        if self._advancing and statement.calls:
            # It may open a file for writing, for a definition that no behavior uses.
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
    def __init__(
        self, code: bytes, binds: frozenset[str], needs: frozenset[str], reads: frozenset[str], rank: int, calls: bool
    ) -> None:
        self.code: CodeType = marshal.loads(code)
        self.binds = binds
        self.needs = needs
        """Globals that running it loads."""
        self.reads = reads
        """These, and those that its functions load later."""
        self.rank = rank
        self.calls = calls
        self.done = False
        self.running = False
