"""What a worker binds a global to that it cannot have.

Having it does no harm, since most behaviors do not touch most globals; using
it raises ``ImportError`` at the behavior that does.
"""

from typing import Any

from bocage._imports import explain


class Unavailable:
    """Stands for a global whose definition failed in this worker."""

    __slots__ = ("_cause", "_name")

    def __init__(self, name: str, cause: BaseException) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_cause", cause.with_traceback(None))

    def __getattr__(self, name: str) -> Any:
        raise error_of(self)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # For ``isinstance``, which would be false.
        raise error_of(self)


def error_of(stand_in: Unavailable) -> ImportError:
    """The exception for whoever uses it."""
    name: str = object.__getattribute__(stand_in, "_name")
    cause: BaseException = object.__getattribute__(stand_in, "_cause")
    error = ImportError(
        f"{name!r} of the main program is not available in a worker: {type(cause).__name__}: {cause}",
        name=getattr(cause, "name", None) or name,
    )
    error.__cause__ = cause
    explain(error)
    return error


def _refuse(stand_in: Unavailable, *_: object, **__: object) -> Any:
    raise error_of(stand_in)


_BINARY = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or"

_OTHERS = """
    abs aenter aexit aiter anext await bool buffer bytes call ceil complex contains copy deepcopy delattr delitem dir
    enter eq exit float floor format fspath ge get getitem gt hash index instancecheck int invert iter le len
    length_hint lt mro_entries ne neg next pos reduce reduce_ex repr reversed round setattr setitem sizeof str
    subclasscheck trunc
"""

# Each of them, because an operator looks at the class: what is left out gives
# an answer of ``object``, such as "not equal", instead of the exception.
for _name in _OTHERS.split() + [prefix + name for name in _BINARY.split() for prefix in ("", "r", "i")]:
    setattr(Unavailable, f"__{_name}__", _refuse)
