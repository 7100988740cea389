"""Where the text of a program's main module is.

A script, a package run with ``-m``, a zip application and ``-c`` have one.
What is typed at a prompt, in a notebook or comes from standard input has
none: it is never whole, so its functions travel one by one instead.
"""

import sys
import textwrap
import tokenize
from typing import NamedTuple


class Source(NamedTuple):
    """The text of a module and the file name that its code objects carry."""

    text: str
    filename: str


def source_of(namespace: dict[str, object]) -> Source | None:
    """Find the source of the module with this namespace, or ``None``."""
    found = _from_loader(namespace) or _from_file(namespace)
    if found is None and namespace is vars(sys.modules["__main__"]):
        found = _from_command_line(namespace)
    return found


def _from_loader(namespace: dict[str, object]) -> Source | None:
    spec = namespace.get("__spec__")
    loader = getattr(spec, "loader", None) or namespace.get("__loader__")
    name = getattr(spec, "name", None) or namespace.get("__name__")
    filename = namespace.get("__file__")
    get_source = getattr(loader, "get_source", None)
    if get_source is None or not isinstance(filename, str):
        return None
    try:
        text = get_source(name)
    except (ImportError, OSError, SyntaxError, UnicodeError):
        return None
    return Source(text, filename) if text is not None else None


def _from_file(namespace: dict[str, object]) -> Source | None:
    filename = namespace.get("__file__")
    if not isinstance(filename, str) or filename.endswith(".pyc"):
        return None
    try:
        with tokenize.open(filename) as file:
            return Source(file.read(), filename)
    except (OSError, SyntaxError, UnicodeError):
        return None


def _from_command_line(namespace: dict[str, object]) -> Source | None:
    if "__file__" in namespace or sys.argv[:1] != ["-c"]:
        return None
    text = _command(sys.orig_argv)
    if text is None:
        return None
    # From 3.14 on, the interpreter strips common indentation by itself.
    if sys.version_info >= (3, 14):
        text = textwrap.dedent(text)
    return Source(text, "<string>")


def _command(argv: list[str]) -> str | None:
    """The program given with ``-c``, read as the interpreter reads options."""
    arguments = iter(argv[1:])
    for argument in arguments:
        if argument == "--check-hash-based-pycs":
            next(arguments, None)
        elif argument.startswith("--"):
            continue
        elif not argument.startswith("-") or argument == "-":
            return None
        else:
            for at, option in enumerate(argument[1:], start=1):
                rest = argument[at + 1 :]
                if option == "c":
                    return rest or next(arguments, None)
                if option == "m":
                    return None
                if option in "XW":
                    if not rest:
                        next(arguments, None)
                    break
    return None
