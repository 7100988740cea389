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
    Makes the namespace that ``_definitions.Home.payload`` describes and runs
    its definitions. ``fetch(name)`` gives the value that the scheduling side
    sent for a global, decoded, or raises ``LookupError`` if it sent none. It
    is kept, and called whenever a definition needs such a value.
``update(key, names)``
    These globals were sent (again): takes each from ``fetch`` and binds it.
``require(key, names)``
    Makes sure that these definitions exist, as far as they can. What failed
    (an import that refuses sub-interpreters) is bound to a stand-in whose
    first use raises ``ImportError``.
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

import functools
import gc
import importlib
import importlib.machinery
import io
import linecache
import marshal
import os
import pickle
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Sequence
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

Fetch = Callable[[str], object]

_REFUSAL = "does not support loading in subinterpreters"
_ADVICE = (
    "Workers are interpreters of their own, and this extension module refuses to be loaded there: "
    "do the work that needs it in the main program, on the values of cowns after wait()"
)


# ---------------------------------------------------------------- namespaces


class Rebuilt(ModuleType):
    """The worker's copy of a namespace that cannot be imported.

    Definitions that could not run yet are tried again when somebody asks for
    them, because they may have needed a value that was sent only later.
    """

    # A slot, because the module's own dictionary belongs to the program.
    __slots__ = ("_bocage_definitions",)

    def __init__(self, payload: dict[str, Any], fetch: Fetch) -> None:
        super().__init__(payload["name"] or "__main__", payload["docstring"])
        self._bocage_definitions = _Definitions(payload, fetch, vars(self))

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if type(value) is Unavailable:
            if not name.startswith("__") and self._bocage_definitions.make(name):
                value = super().__getattribute__(name)
            if type(value) is Unavailable:
                raise Unavailable.error(value)
        return value

    def __getattr__(self, name: str) -> Any:
        # Pickle comes here, for a class that a value refers to by name.
        if not name.startswith("__") and self._bocage_definitions.make(name):
            return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} of the worker has no attribute {name!r}")


class _Definitions:
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
            with _module_code:
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
            self._fail({name}, error)
            return False
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
            with _module_code:
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


class Unavailable:
    """Stands for a global whose definition failed in this worker.

    Having it does no harm, since most behaviors do not touch most globals;
    using it raises ``ImportError`` at the behavior that does.
    """

    __slots__ = ("_cause", "_name")

    def __init__(self, name: str, cause: BaseException) -> None:
        self._name = name
        self._cause = cause.with_traceback(None)

    def error(self) -> ImportError:
        """The exception for whoever uses it."""
        cause = self._cause
        error = ImportError(
            f"{self._name!r} of the main program is not available in a worker: {type(cause).__name__}: {cause}",
            name=getattr(cause, "name", None) or self._name,
        )
        error.__cause__ = cause
        explain(error)
        return error

    def _refuse(self, *_: object, **__: object) -> Any:
        raise Unavailable.error(self)

    def __getattr__(self, name: str) -> Any:
        raise Unavailable.error(self)

    def __mro_entries__(self, bases: object) -> Any:
        raise Unavailable.error(self)

    __call__ = __iter__ = __len__ = __bool__ = __enter__ = _refuse
    __getitem__ = __setitem__ = __contains__ = __instancecheck__ = __subclasscheck__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __or__ = __ror__ = _refuse
    __lt__ = __gt__ = __le__ = __ge__ = __int__ = __float__ = __str__ = _refuse


_homes: dict[str, Rebuilt] = {}


def build(payload: bytes, fetch: Fetch) -> None:
    """Make a namespace and run its definitions. See the module's text."""
    described = pickle.loads(payload)
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
    _homes[described["key"]] = module
    if described["key"] == "__main__":
        sys.modules["__main__"] = module
    module._bocage_definitions.run_all()


def update(key: str, names: Iterable[str]) -> None:
    """Bind values that were sent. See the module's text."""
    for name in names:
        _homes[key]._bocage_definitions.take_again(name)


def require(key: str, names: Iterable[str]) -> None:
    """Make definitions exist. See the module's text."""
    for name in names:
        _homes[key]._bocage_definitions.make(name)


def _namespace(key: str) -> dict[str, Any]:
    if key in _homes:
        return vars(_homes[key])
    try:
        return vars(importlib.import_module(key))
    except ImportError as error:
        explain(error)
        raise


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


def make_cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    """A function under ``functools.lru_cache``, with an empty cache."""
    return functools.lru_cache(maxsize, typed)(function)


def make_class(
    metaclass: type, name: str, bases: tuple[type, ...], module: str, slots: object
) -> type:
    """A class without its members."""
    namespace: dict[str, object] = {"__module__": module}
    if slots is not None:
        namespace["__slots__"] = slots
    made: type = metaclass(name, bases, namespace)
    return made


def finish_class(made: type, members: dict[str, object]) -> None:
    """Give a class its members, which may refer back to it."""
    for name, member in members.items():
        setattr(made, name, member)


def _remember_lines(filename: str, lines: Sequence[str]) -> None:
    if lines:
        # Without a modification time the entry is never checked for a file.
        linecache.cache[filename] = (sum(map(len, lines)), None, list(lines), filename)


def explain(error: BaseException) -> None:
    """Say what to do about a refused import. See the module's text."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if isinstance(at, ImportError) and _REFUSAL in str(at):
            if _ADVICE not in getattr(error, "__notes__", ()):
                error.add_note(_ADVICE)
            return
        at = at.__cause__ or at.__context__


# ------------------------------------------------- imports, and private cowns


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


_module_code = _ModuleCode()


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
        with _module_code:
            execute(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


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


# -------------------------------------------------------------------- reuse


def prepare(path: Sequence[str], argv: Sequence[str], notify: Callable[[int], object] | None = None) -> None:
    """Make the interpreter ready for a program. See the module's text."""
    sys.path[:] = path
    sys.argv[:] = argv
    _module_code.notify = notify or _ignore
    if _ImportWatch not in sys.meta_path:
        sys.meta_path.insert(0, _ImportWatch)  # type: ignore[arg-type]
    importlib.invalidate_caches()


_original_main = sys.modules.get("__main__")


def reset() -> None:
    """Forget what belongs to the program. See the module's text."""
    _homes.clear()
    if _original_main is not None:
        sys.modules["__main__"] = _original_main
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


@functools.cache
def _installed_under() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    under = {os.path.realpath(paths[kind]) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    under.update(os.path.realpath(path) for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages"))
    return tuple(os.path.join(path, "") for path in under)


def _is_installed(path: str) -> bool:
    return os.path.realpath(path).startswith(_installed_under())
