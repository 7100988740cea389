"""The definitions of a main module, taken out of its source.

What a worker may run of ``__main__`` is what defines something: imports,
functions, classes and type aliases, also inside ``if`` and ``try`` blocks
(``try: import x`` … ``except ImportError: x = None``). Everything else stays
out, functions under ``@when`` included, and so does any block that asks for
``__name__``. Plain assignments are kept aside: a worker evaluates one only
where the value itself cannot be sent.

Every statement is compiled by itself, from nodes that keep their line
numbers, so that a traceback in a worker shows the program's own lines.
"""

import __future__

import ast
import symtable
from collections.abc import Callable
from types import CodeType
from typing import NamedTuple

from bocage._names import Names, names_of


class Statement(NamedTuple):
    """One top-level statement that a worker can run."""

    code: CodeType
    binds: frozenset[str]
    names: Names
    imports: bool
    """It does nothing but import."""
    end: tuple[int, int]
    """Line and column where it ends."""
    calls: bool
    """Running it calls something, so that it is not to run before the program
    ran it."""


class Reduction(NamedTuple):
    """A module's source, reduced to its definitions."""

    definitions: tuple[Statement, ...]
    assignments: dict[str, tuple[Statement, ...]]
    """For each name, the plain top-level assignments to it."""
    bound: frozenset[str]
    """Every global that the source binds anywhere, also by ``global``."""
    rebound: frozenset[str]
    """Those that something else than a definition binds as well."""
    behaviors: frozenset[str]
    """Names of the functions under ``@when``."""
    star: bool
    """It has an ``import *``, so names may come from there."""
    docstring: str | None


IsWhen = Callable[[str], bool]
"""Whether a dotted name, as written in the source, means ``bocage.when``."""


def reduce_module(text: str, filename: str, is_when: IsWhen) -> Reduction:
    """Reduce a module's source. Raises ``SyntaxError`` as ``compile`` does."""
    tree = ast.parse(text, filename)
    reducer = _Reducer(filename, _future_flags(tree), is_when)
    for node in tree.body:
        reducer.add(node)
    defined = frozenset().union(*(statement.binds for statement in reducer.definitions))
    return Reduction(
        definitions=tuple(reducer.definitions),
        assignments={name: tuple(found) for name, found in reducer.assignments.items()},
        bound=_globals_bound_in(text, filename) | defined,
        rebound=frozenset(reducer.rebound | _assigned_by_functions(text, filename)),
        behaviors=frozenset(reducer.behaviors),
        star=reducer.star,
        docstring=ast.get_docstring(tree, clean=False),
    )


class _Reducer:
    def __init__(self, filename: str, flags: int, is_when: IsWhen) -> None:
        self.filename = filename
        self.flags = flags
        self.is_when = is_when
        self.aliases = _Aliases()
        self.definitions: list[Statement] = []
        self.assignments: dict[str, list[Statement]] = {}
        self.rebound: set[str] = set()
        self.behaviors: set[str] = set()
        self.star = False

    def add(self, node: ast.stmt) -> None:
        self.aliases.see(node)
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            self._set_aside(node)
            self.rebound |= _bound_by(node)
            return
        before, end = _bound_by(node), _end(node)
        kept = self._keep(node)
        if kept is None:
            self.rebound |= before
            return
        after = _bound_by(kept)
        self.rebound |= before - after
        if isinstance(kept, ast.ImportFrom) and any(name.name == "*" for name in kept.names):
            self.star = True
        self.definitions.append(self._compile(kept, after, end))

    def _compile(self, node: ast.stmt, binds: set[str], end: tuple[int, int]) -> Statement:
        module = ast.Module([node], type_ignores=[])
        ast.fix_missing_locations(module)
        code = compile(module, self.filename, "exec", flags=self.flags, dont_inherit=True)
        imports = isinstance(node, (ast.Import, ast.ImportFrom))
        return Statement(code, frozenset(binds), names_of(code), imports, end, _calls(node))

    def _set_aside(self, node: ast.Assign | ast.AnnAssign) -> None:
        names = _bound_by(node)
        if names and node.value is not None:
            statement = self._compile(node, names, _end(node))
            for name in names:
                self.assignments.setdefault(name, []).append(statement)

    def _keep(self, node: ast.stmt) -> ast.stmt | None:
        """The part of a statement that defines something, or ``None``."""
        match node:
            case ast.ImportFrom(module="__future__"):
                return None
            case ast.Import() | ast.ImportFrom():
                return node
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if self._is_behavior(node):
                    self.behaviors.add(node.name)
                    return None
                return node
            case ast.ClassDef():
                return self._keep_class(node)
            case ast.If():
                return self._keep_if(node)
            case ast.Try() | ast.TryStar():
                return self._keep_try(node)
            case _ if isinstance(node, getattr(ast, "TypeAlias", ())):
                return node
        return None

    def _is_behavior(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                name = _dotted(decorator.func)
                if name is not None and (self.aliases.means_when(name) or self.is_when(name)):
                    return True
        return False

    def _keep_class(self, node: ast.ClassDef) -> ast.ClassDef:
        body = [self._without_behaviors(part) for part in node.body]
        kept = [part for part in body if part is not None]
        node.body = kept or [ast.copy_location(ast.Pass(), node)]
        return node

    def _without_behaviors(self, node: ast.stmt) -> ast.stmt | None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return None if self._is_behavior(node) else node
        if isinstance(node, ast.ClassDef):
            return self._keep_class(node)
        return node

    def _keep_if(self, node: ast.If) -> ast.If | None:
        if not _can_be_asked_again(node.test):
            return None
        body, orelse = self._keep_block(node.body), self._keep_block(node.orelse)
        if not _defines(body + orelse):
            return None
        node.body = body or [ast.copy_location(ast.Pass(), node)]
        node.orelse = orelse
        return node

    def _keep_try(self, node: ast.Try | ast.TryStar) -> ast.stmt | None:
        body = self._keep_block(node.body)
        handlers = [self._keep_block(handler.body) for handler in node.handlers]
        orelse, final = self._keep_block(node.orelse), self._keep_block(node.finalbody)
        if not _defines(body + orelse + final + [part for block in handlers for part in block]):
            return None
        node.body = body or [ast.copy_location(ast.Pass(), node)]
        for handler, block in zip(node.handlers, handlers):
            handler.body = block or [ast.copy_location(ast.Pass(), handler)]
        node.orelse, node.finalbody = orelse, final
        return node

    def _keep_block(self, nodes: list[ast.stmt]) -> list[ast.stmt]:
        kept = []
        for node in nodes:
            self.aliases.see(node)
            part: ast.stmt | None = node
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                if node.value is None or not _is_plain(node.value) or not _bound_by(node):
                    self._set_aside(node)
                    part = None
            elif not isinstance(node, (ast.Pass, ast.Raise)):
                part = self._keep(node)
            if part is not None:
                kept.append(part)
        return kept


class _Aliases:
    """The names by which a module's source knows ``when``."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        self.modules: set[str] = set()

    def see(self, node: ast.stmt) -> None:
        match node:
            case ast.Import():
                for name in node.names:
                    if name.name == "bocage":
                        self.modules.add(name.asname or name.name)
            case ast.ImportFrom(module="bocage", level=0):
                for name in node.names:
                    if name.name in ("when", "*"):
                        self.functions.add(name.asname or "when")
            case ast.Assign(targets=[ast.Name(id=target)], value=value):
                dotted = _dotted(value)
                if dotted is not None and self.means_when(dotted):
                    self.functions.add(target)

    def means_when(self, name: str) -> bool:
        module, _, last = name.rpartition(".")
        return name in self.functions or (last == "when" and module in self.modules)


def _future_flags(tree: ast.Module) -> int:
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for name in node.names:
                feature = getattr(__future__, name.name, None)
                flags |= feature.compiler_flag if feature is not None else 0
    return flags


def _dotted(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            prefix = _dotted(value)
            return None if prefix is None else f"{prefix}.{attribute}"
    return None


def _defines(nodes: list[ast.stmt]) -> bool:
    return any(not isinstance(node, (ast.Assign, ast.AnnAssign, ast.Pass, ast.Raise)) for node in nodes)


_ASKING = frozenset({"bool", "callable", "getattr", "hasattr", "isinstance", "issubclass", "len", "tuple"})


def _can_be_asked_again(test: ast.expr) -> bool:
    """Whether evaluating this condition once more in a worker does no harm.

    A block under ``__name__`` is the program's start, never a definition.
    Functions of modules (``platform.system()``) may be asked; a function of
    the program or a builtin like ``input`` may do anything.
    """
    for node in ast.walk(test):
        match node:
            case ast.Name(id="__name__"):
                return False
            case ast.Call(func=ast.Name(id=name)):
                if name not in _ASKING:
                    return False
            case ast.Call(func=ast.Attribute()):
                if _dotted(node.func) is None:
                    return False
            case ast.Call() | ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom():
                return False
    return True


def _end(node: ast.stmt) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _calls(node: ast.AST) -> bool:
    """Whether running this calls something, decorators and base classes aside."""
    match node:
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments) | ast.Lambda(args=arguments):
            now: list[ast.AST] = [*arguments.defaults, *(each for each in arguments.kw_defaults if each is not None)]
            if not isinstance(node, ast.Lambda):
                now += node.decorator_list
            return any(map(_calls, now))
        case ast.Call() | ast.Await() | ast.Yield() | ast.YieldFrom():
            return True
    return any(map(_calls, ast.iter_child_nodes(node)))


def _is_plain(value: ast.expr) -> bool:
    """Whether evaluating this expression calls nobody."""
    calls = (ast.Call, ast.NamedExpr, ast.Await, ast.ListComp, ast.SetComp, ast.DictComp)
    return not any(isinstance(node, calls) for node in ast.walk(value))


def _bound_by(node: ast.AST) -> set[str]:
    """The names that a statement binds in its own scope."""
    names: set[str] = set()
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import():
            return {name.asname or name.name.partition(".")[0] for name in node.names}
        case ast.ImportFrom():
            return {name.asname or name.name for name in node.names} - {"*"}
        case ast.Name(id=name, ctx=ast.Store()):
            return {name}
        case ast.Lambda():
            return set()
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            names.add(name)
        case ast.MatchMapping(rest=str(name)):
            names.add(name)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return {inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)}
    for child in ast.iter_child_nodes(node):
        names |= _bound_by(child)
    return names


def _globals_bound_in(text: str, filename: str) -> frozenset[str]:
    table = symtable.symtable(text, filename, "exec")
    bound = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    return frozenset(bound) | _assigned_under_global(table)


def _assigned_by_functions(text: str, filename: str) -> frozenset[str]:
    return _assigned_under_global(symtable.symtable(text, filename, "exec"))


def _assigned_under_global(table: symtable.SymbolTable) -> frozenset[str]:
    names: set[str] = set()
    for child in table.get_children():
        for symbol in child.get_symbols():
            if symbol.is_declared_global() and (symbol.is_assigned() or symbol.is_imported()):
                names.add(symbol.get_name())
        names |= _assigned_under_global(child)
    return frozenset(names)
