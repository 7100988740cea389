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
``home.look() -> int``
    How far the program is, of ``len(home.ends)``: a worker runs those
    definitions that the program ran. ``home.code`` is the code in which a
    frame's place tells that, if there is one.
``reach(home, behavior) -> Reach``
    The globals that must come from the scheduling side. Call it when a
    behavior is first scheduled, and again when one of ``Reach.watch`` is
    bound to another object (compare pointers; an absent one is null), or when
    ``home.look()`` gives another number. Raises ``NameError``.
``at_build(home) -> Reach``
    The same for what the definitions themselves need. Call it when the
    namespace is first used, when it has more entries, and when one of its
    ``watch`` is rebound. ``build`` asks ``fetch`` for these, so have them
    there first; a value that does not cross is simply left out.
``spread(thing) -> str | None``
    When a class or function is part of a value on its way: the global of
    ``__main__`` by which a worker finds it, if that is where it is from.
    Raises ``TypeError`` if a worker could not have it.
``beside(home, names) -> Reach``
    For all such names, ``Reach.classes`` among them: what they need of
    ``home_of_main()``, since the body of any behavior may get one in a value.
``instead_of(home, name, error) -> Reach``
    When a value of ``Reach.values`` does not cross: what evaluating its plain
    assignment in the worker needs (``needs`` holds the name itself; merge it
    with the rest). Raises ``TypeError`` from ``error`` if there is none.
``refused(recorded, index, error) -> BaseException``
    When a value beside the record of a ``Behavior`` or ``Packed`` does not
    cross: the error that says which.

A worker that is to run a behavior: ``build(home.payload, fetch)`` once for
each home, ``advance`` to what ``home.look()`` gave, ``update`` for values sent
since, ``require`` for ``Reach.needs``, ``resolve(behavior.record, values)``
once.
"""

import inspect
import sys
from types import FunctionType
from typing import Any, NamedTuple

from bocage._homes import CANNOT_TRAVEL, Home, codes_in, home_of, home_of_main, key_of, pack_for, undecorated
from bocage._names import names_of
from bocage._pack import Packed, is_importable, named, pack, pack_code
from bocage._reach import Reach, at_build, beside, instead_of, reach, spread

__all__ = [
    "Behavior",
    "Home",
    "Reach",
    "at_build",
    "beside",
    "describe",
    "home_of",
    "home_of_main",
    "instead_of",
    "reach",
    "refused",
    "spread",
]


class Behavior(NamedTuple):
    """A function as it travels, and what Rust must know to call it."""

    name: str
    """``__qualname__``, for messages."""
    record: bytes
    """For ``_worker.resolve``. Equal functions have equal records."""
    values: tuple[Any, ...]
    """Values inside the record, to be encoded beside it. Empty for a plain
    function: its defaults are captures and travel with each behavior."""
    origins: tuple[str, ...]
    """Where each of them was found, for messages."""
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
    inner = undecorated(func)
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
    return _behavior(func, func, Packed(record, (), (), frozenset()), names.loaded, names.perhaps, names.assigned, True)


def _by_name(func: Any, found: tuple[str, str]) -> Behavior:
    module, name = found
    if module == "__main__":
        loads = frozenset({name.partition(".")[0]})
    elif is_importable(sys.modules[module]):
        loads = frozenset()
    else:
        raise TypeError(f"{name!r} is in module {module!r}, which a worker cannot import")
    record = pack_for(func, home_of(func), name)
    return _behavior(func, None, record, loads, frozenset(), frozenset(), False)


def _decorated(func: Any, inner: FunctionType | None) -> Behavior:
    name = getattr(inner or func, "__qualname__", None) or type(func).__qualname__
    if inner is not None:
        _check_closure(inner)
    home = home_of(func)
    try:
        packed = pack(func, key_of, home.worker_defines, by_code=inner is not None)
    except CANNOT_TRAVEL as error:
        raise TypeError(
            f"{name!r} cannot be sent to a worker ({error}): a callable that is no plain function must be importable "
            "by name, or be made by a decorator that uses functools.wraps over one"
        ) from error
    names = [names_of(code) for code in codes_in(func)]
    loads = packed.names.union(*(each.loaded for each in names))
    perhaps = frozenset().union(*(each.perhaps for each in names))
    assigned = frozenset().union(*(each.assigned for each in names))
    return _behavior(func, inner, packed, loads, perhaps, assigned, False)


def _behavior(
    func: Any,
    signature: FunctionType | None,
    packed: Packed,
    loads: frozenset[str],
    perhaps: frozenset[str],
    assigned: frozenset[str],
    cacheable: bool,
) -> Behavior:
    name = getattr(signature or func, "__qualname__", None) or type(func).__qualname__
    first = (name, packed.record, packed.values, packed.origins, cacheable)
    rest = (loads, perhaps, assigned)
    if signature is None:
        return Behavior(*first, (), 0, (), True, False, *rest)
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
    return Behavior(*first, positional, defaults, keyword_only, varargs, cacheable, *rest)


def refused(recorded: Behavior | Packed, index: int, error: BaseException) -> BaseException:
    """Say which value does not cross. See the module's text."""
    if not isinstance(error, Exception):
        return error
    message = f"{recorded.origins[index]} cannot be sent to a worker: {error}"
    if isinstance(recorded, Behavior):
        message = (
            f"{recorded.name!r} cannot be sent to a worker, as {recorded.origins[index]} cannot ({error}): define the "
            "decorated function by itself and schedule it by that name, `when(...)(name)`, or keep in the decorator "
            "only what can be sent"
        )
    made = TypeError(message)
    made.__cause__ = error
    return made


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
