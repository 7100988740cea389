"""Which global names a code object uses.

Read from the instructions, not from ``co_names``: that table also lists
attributes and the names of imports, which are nobody's globals.
"""

import dis
from types import CodeType
from typing import NamedTuple

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ASSIGNS = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_CO_OPTIMIZED = 0x0001

# Functions that the compiler makes and calls on the spot, so that what they
# load is loaded when the code around them runs.
_CALLED_AT_ONCE = ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>", "<generic parameters of ")


class Names(NamedTuple):
    """The globals of a code object and of the code objects nested in it."""

    now: frozenset[str]
    """Loaded when the code runs: by itself, or by a class body in it."""
    later: frozenset[str]
    """Loaded by functions nested in it, when somebody calls them."""
    perhaps: frozenset[str]
    """Loaded only where nothing else answers first: names that a class body
    also binds itself, and lazily evaluated annotations. Their absence is no
    mistake."""
    assigned: frozenset[str]
    """Bound or deleted under a ``global`` statement."""

    @property
    def loaded(self) -> frozenset[str]:
        """Everything that is a mistake if it exists nowhere."""
        return self.now | self.later


def names_of(code: CodeType) -> Names:
    """Collect the global names of ``code`` and of all code nested in it."""
    now: set[str] = set()
    later: set[str] = set()
    perhaps: set[str] = set()
    assigned: set[str] = set()

    def visit(code: CodeType, target: set[str]) -> None:
        loads: set[str] = set()
        stores: set[str] = set()
        for instruction in dis.get_instructions(code):
            if instruction.opname in _LOADS:
                loads.add(instruction.argval)
            elif instruction.opname in _ASSIGNS:
                assigned.add(instruction.argval)
            elif instruction.opname == "STORE_NAME":
                stores.add(instruction.argval)
        target |= loads - stores
        perhaps.update(loads & stores)
        for constant in code.co_consts:
            if not isinstance(constant, CodeType):
                continue
            if constant.co_name == "__annotate__":
                visit(constant, perhaps)
            elif _runs_with_its_parent(constant):
                visit(constant, target)
            else:
                visit(constant, perhaps if target is perhaps else later)

    visit(code, now)
    return Names(frozenset(now), frozenset(later - now), frozenset(perhaps - now - later), frozenset(assigned))


def _runs_with_its_parent(code: CodeType) -> bool:
    is_class_body = not code.co_flags & _CO_OPTIMIZED
    return is_class_body or code.co_name.startswith(_CALLED_AT_ONCE)
