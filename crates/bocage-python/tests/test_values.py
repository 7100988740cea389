"""Values on their way to another interpreter: equal, of the same types, shared as before, and nothing leaks.

``_roundtrip`` encodes an object and decodes it again, as a hop from one worker to another does.
"""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import gc
import operator
import pathlib
import pickle
import re
import struct
import sys
import threading
import traceback
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bocage import Cown, Matrix
from bocage._bocage import _roundtrip as roundtrip
from bocage._bocage import _roundtrip_exception as roundtrip_exception

CONTAINERS = (list, tuple, dict, set, frozenset, slice, bytearray)


def assert_same(before: Any, after: Any) -> None:
    """Equal in type and content, with the same containers shared in the same places."""
    there: dict[int, int] = {}
    back: dict[int, int] = {}
    pairs = [(before, after)]
    while pairs:
        a, b = pairs.pop()
        assert type(a) is type(b)
        if isinstance(a, CONTAINERS) and a not in ((), frozenset()):
            known = id(a) in there
            assert there.setdefault(id(a), id(b)) == id(b), f"shared before, not after: {a!r}"
            assert back.setdefault(id(b), id(a)) == id(a), f"shared after, not before: {b!r}"
            assert a is not b or isinstance(a, (tuple, frozenset, slice))
            if known:
                continue
        match a:
            case float():
                assert struct.pack("d", a) == struct.pack("d", b)
            case complex():
                pairs += [(a.real, b.real), (a.imag, b.imag)]
            case list() | tuple():
                assert len(a) == len(b)
                pairs += zip(a, b, strict=True)
            case dict():
                assert len(a) == len(b)
                for (ka, va), (kb, vb) in zip(a.items(), b.items(), strict=True):
                    pairs += [(ka, kb), (va, vb)]
            case set() | frozenset():
                assert a == b
                assert sorted(map(kind, a)) == sorted(map(kind, b))
            case slice():
                pairs += [(a.start, b.start), (a.stop, b.stop), (a.step, b.step)]
            case _:
                assert a == b


def kind(member: Any) -> str:
    """Type and content of a hashable, in an order that doesn't depend on how sets iterate."""
    match member:
        case tuple():
            return f"({','.join(map(kind, member))})"
        case frozenset():
            return f"{{{','.join(sorted(map(kind, member)))}}}"
        case _:
            return f"{type(member).__name__} {member!r}"


# NaN equals nothing, so it can't be looked up in a set that was rebuilt; bytes of a float are compared elsewhere.
hashable_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**80), max_value=2**80),
    st.floats(allow_nan=False),
    st.text(alphabet=st.characters(), max_size=80),
    st.binary(max_size=80),
    st.just(...),
)
leaves = st.one_of(
    hashable_leaves,
    st.floats(),
    st.complex_numbers(),
    st.binary(max_size=40).map(bytearray),
    st.builds(range, st.integers(), st.integers(), st.integers().filter(bool)),
)
hashables = st.recursive(
    hashable_leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4).map(tuple), st.frozensets(inner, max_size=4)),
    max_leaves=8,
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(hashables, inner, max_size=5),
        st.sets(hashables, max_size=5),
        st.frozensets(hashables, max_size=5),
        st.builds(slice, inner, inner, inner),
    ),
    max_leaves=30,
)


@st.composite
def graphs(draw: Callable[[Any], Any]) -> Any:
    """Containers that hold each other anyhow, so with sharing and cycles."""
    nodes: list[Any] = [draw(st.sampled_from([list, dict]))() for _ in range(draw(st.integers(1, 6)))]
    for _ in range(draw(st.integers(0, 4))):
        parts = draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3))
        nodes.append(tuple(parts))
    for node in nodes:
        content = draw(st.lists(st.one_of(st.sampled_from(nodes), trees), max_size=4))
        if isinstance(node, list):
            node.extend(content)
        elif isinstance(node, dict):
            node.update(zip(draw(st.lists(hashables, min_size=4, max_size=4, unique=True)), content, strict=False))
    return nodes[0] if draw(st.booleans()) else nodes


@settings(max_examples=150, deadline=None)
@given(trees)
def test_a_tree_arrives_equal_and_of_the_same_types(tree: Any) -> None:
    assert_same(tree, roundtrip(tree))


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_sharing_and_cycles_inside_one_payload_are_kept(graph: Any) -> None:
    assert_same(graph, roundtrip(graph))


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_sharing_is_kept_when_one_part_is_not_native(graph: Any) -> None:
    assert_same([graph, graph], roundtrip([graph, graph, decimal.Decimal("1.5")])[:2])


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(categories=["L", "Cs", "So", "Nd"]), max_size=200))
def test_text_keeps_its_characters_and_its_width(text: str) -> None:
    after = roundtrip([text])[0]
    assert after == text == roundtrip(text)
    assert sys.getsizeof(after) == sys.getsizeof(text[:0] + "".join(list(text)))
    assert hash(after) == hash(text)
    assert {text: 1}[after] == 1


@pytest.mark.parametrize("bits", [7, 8, 15, 16, 30, 31, 32, 60, 62, 63, 64, 65, 90, 120, 127, 128, 1000, 4001])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("near", [-1, 0, 1])
def test_ints_at_the_borders_of_widths(bits: int, sign: int, near: int) -> None:
    number = sign * 2**bits + near
    assert roundtrip(number) == number
    assert roundtrip([number]) == [number]


@pytest.mark.parametrize("length", [0, 1, 22, 23, 63, 64, 127, 128, 129, 16383, 16384, 65535, 65536, 1 << 20])
@pytest.mark.parametrize("character", ["a", "é", "\u1234", "\U0001f600", "\ud800"])
def test_lengths_at_the_borders_of_forms(length: int, character: str) -> None:
    text = character * length
    assert roundtrip(text) == text
    assert roundtrip([text, text]) == [text, text]
    content = b"x" * length
    assert roundtrip(content) == content
    assert roundtrip([content]) == [content]
    assert roundtrip([bytearray(content)]) == [bytearray(content)]
    items = [0] * length if length < 70000 else []
    assert roundtrip(items) == items
    assert roundtrip(tuple(items)) == tuple(items)


def test_nan_keeps_its_bits() -> None:
    odd = struct.unpack("d", struct.pack("Q", 0x7FF8_0000_0000_1234))[0]
    assert struct.pack("d", roundtrip(odd)) == struct.pack("d", odd)
    assert struct.pack("d", roundtrip([odd])[0]) == struct.pack("d", odd)
    assert str(roundtrip(-0.0)) == "-0.0"


def test_singletons_stay_themselves() -> None:
    for singleton in (None, True, False, ..., NotImplemented, (), int, len, datetime.UTC):
        assert roundtrip(singleton) is singleton
        assert roundtrip([singleton])[0] is singleton


def test_a_text_that_is_shared_is_one_object_afterwards() -> None:
    long = "long " * 100
    first, second = roundtrip([long, long])
    assert first is second
    rows = [{"name": index, "kind": index} for index in range(500)]
    assert len({id(key) for row in roundtrip(rows) for key in row}) < 20


def test_cycles_through_every_mutable_container() -> None:
    items: list[Any] = []
    items.append((items, {"items": items}, slice(items)))
    after = roundtrip(items)
    assert after[0][0] is after
    assert after[0][1]["items"] is after
    assert after[0][2].stop is after
    own = slice(None, [], None)
    own.stop.append(own)
    after = roundtrip(own)
    assert after.stop[0] is after


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def unnest(outer: list[Any]) -> None:
    while outer:
        outer = outer[0]


def test_deep_nesting_is_refused_and_does_not_overflow_the_stack() -> None:
    limit = sys.getrecursionlimit()
    after = roundtrip(nested(limit - 1))
    unnest(after)
    for depth in (limit + 1, 200_000):
        deep = nested(depth)
        with pytest.raises(RecursionError, match=f"recursion limit of {limit}"):
            roundtrip(deep)
        unnest(deep)


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None


class Named(collections.namedtuple("Named", "a b")):
    pass


class Texty(str):
    pass


@pytest.mark.parametrize(
    "value",
    [
        decimal.Decimal("3.14"),
        fractions.Fraction(1, 3),
        datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC),
        datetime.timedelta(1, 2, 3),
        uuid.UUID(int=7),
        pathlib.PurePosixPath("/a/b"),
        Color.RED,
        Point(1, [Point(2)]),
        Named(1, 2),
        Texty("text"),
        collections.OrderedDict(a=1),
        collections.Counter("abca"),
        collections.deque([1, 2], maxlen=5),
        array.array("d", [1.0, 2.0]),
        functools.partial(operator.add, 1).args,
        re.compile("a+"),
        operator.add,
        Point,
        ValueError("text", 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_go_by_their_own_reduction(value: Any) -> None:
    for after in (roundtrip(value), roundtrip([1, value])[1], roundtrip({"k": (value,)})["k"][0]):
        assert type(after) is type(value)
        if not isinstance(value, Exception):
            assert after == value
        assert repr(after) == repr(value)


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_a_memoryview_keeps_format_and_shape(code: str) -> None:
    content = memoryview(array.array(code, range(12)))
    for view in (content, content[::2], content[:0]):
        after = roundtrip([view, view])
        assert after[0] is after[1]
        assert after[0].tolist() == view.tolist()
    square = memoryview(bytearray(12)).cast("B", (3, 4))
    after = roundtrip(square)
    assert after.shape == (3, 4)
    after[1, 2] = 7
    assert square[1, 2] == 0
    assert roundtrip(memoryview(b"ab")).readonly


def test_buffers_go_out_of_band_and_arrive_writable_or_not() -> None:
    big = bytearray(1 << 20)
    after = roundtrip([pickle.PickleBuffer(big), pickle.PickleBuffer(b"fixed")])
    assert type(after[0]) is bytearray and after[0] == big
    assert type(after[1]) is bytes and after[1] == b"fixed"


# --- Cowns and matrices ---------------------------------------------------------------------------


def test_a_cown_arrives_as_the_same_cown() -> None:
    cown = Cown([1])
    assert roundtrip(cown) == cown
    after = roundtrip([cown, {"again": cown}, (Cown(2),)])
    assert after[0] is after[1]["again"] == cown
    assert after[2][0] != cown
    point = roundtrip(Point(cown, [cown]))
    assert point.x is point.y[0] == cown
    assert roundtrip({cown: 1}) == {cown: 1}


class Sneaky:
    """Pickles a cown by itself while it is reduced."""

    def __init__(self, cown: Any) -> None:
        self.cown = cown

    def __reduce__(self) -> Any:
        return bytes, (pickle.dumps(self.cown),)


def test_only_bocage_itself_pickles_a_cown() -> None:
    cown = Cown(1)
    for attempt in (lambda: pickle.dumps(cown), lambda: pickle.dumps([cown]), lambda: roundtrip(Sneaky(cown))):
        with pytest.raises(TypeError, match="Cown"):
            attempt()


def matrix() -> Any:
    return Matrix(2, 2, [1.0, 2.0, 3.0, 4.0])


def test_a_matrix_moves_and_is_moved_once() -> None:
    for wrap, unwrap in (
        (lambda m: m, lambda m: m),
        (lambda m: [m, m], lambda after: after[after[0] is not after[1]]),
        (lambda m: Point(m, [m]), lambda after: after.x if after.x is after.y[0] else None),
    ):
        moved = matrix()
        after = unwrap(roundtrip(wrap(moved)))
        assert after.tolist() == [[1.0, 2.0], [3.0, 4.0]]
        with pytest.raises(RuntimeError, match="moved"):
            moved.sum()
        with pytest.raises(RuntimeError, match="moved"):
            roundtrip([moved])


@pytest.mark.parametrize("wrap", [list, lambda parts: Point(*parts), lambda parts: {"a": parts[:1], "b": parts[1:]}])
@pytest.mark.parametrize("bad", [lambda: 1, (i for i in ()), nested(200_000)], ids=["lambda", "generator", "deep"])
def test_after_a_failed_encode_nothing_has_moved(wrap: Any, bad: Any) -> None:
    kept, cown = matrix(), Cown(1)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError, RecursionError)):
        roundtrip(wrap([[kept, cown], bad]))
    assert kept.sum() == 10.0
    if bad and isinstance(bad, list):
        unnest(bad[0])


def test_a_matrix_with_a_live_export_stays() -> None:
    kept = matrix()
    with memoryview(kept):
        for value in (kept, [kept], Point(kept)):
            with pytest.raises((RuntimeError, BufferError, TypeError, ValueError)):
                roundtrip(value)
    assert roundtrip(kept).sum() == 10.0


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([1, lambda: 1], r"value\[1\]"),
        ({"a": [0, 1, 2, threading.Lock()]}, r"value\['a'\]\[3\]"),
        ((1, {2: ([], [(i for i in ())])}), r"value\[1\]\[2\]\[1\]\[0\]"),
        ([decimal.Decimal(1), {"x": sys}], r"value\[1\]\['x'\]"),
        (slice(1, [lambda: 1]), r"value.stop\[0\]"),
    ],
)
def test_the_error_names_the_part_that_cannot_cross(value: Any, place: str) -> None:
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError), match=place):
        roundtrip(value)


class Raiser:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_what_a_reduction_raises_comes_out(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        roundtrip([1, Raiser(error)])
    assert caught.value is error


class Meddler:
    """Empties the container that it is in while it is reduced."""

    def __init__(self, container: Any) -> None:
        self.container = container

    def __reduce__(self) -> Any:
        self.container.clear()
        return str, ("met",)


def test_a_reduction_may_change_the_payload() -> None:
    items: list[Any] = list(range(100))
    items.insert(50, Meddler(items))
    try:
        assert "met" in roundtrip(items)
    except RuntimeError as error:  # from 3.14 on pickle notices
        assert "changed size" in str(error)
    table: dict[Any, Any] = {index: index for index in range(100)}
    table[50] = Meddler(table)
    with pytest.raises(RuntimeError, match="changed size"):
        roundtrip(table)
    meddled = matrix()
    class_free = [meddled, Taker(meddled)]
    with pytest.raises(RuntimeError, match="moved"):
        roundtrip(class_free)


class Taker:
    """Moves a matrix away while it is reduced."""

    def __init__(self, victim: Any) -> None:
        self.victim = victim

    def __reduce__(self) -> Any:
        roundtrip(self.victim)
        return str, ("met",)


# --- Exceptions -----------------------------------------------------------------------------------


class TwoArguments(Exception):
    def __init__(self, first: Any, second: Any) -> None:
        super().__init__(f"{first} and {second}")
        self.first = first


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        ValueError("text", 3),
        KeyError("key"),
        OSError(2, "No such file", "name"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        SystemExit(3),
        KeyboardInterrupt(),
        StopIteration(4),
        ExceptionGroup("group", [ValueError(1), TypeError(2)]),
        TwoArguments(1, 2),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_raised_exception_keeps_type_args_notes_and_traceback(error: BaseException) -> None:
    error.add_note("a note")
    error.extra = [1]  # type: ignore[attr-defined]
    after = roundtrip_exception(raised(error))
    assert type(after) is type(error)
    assert str(after) == str(error)
    assert repr(after.args) == repr(error.args)
    assert after.extra == [1]
    assert after.__notes__[0] == "a note"
    shown = "".join(traceback.format_exception(after))
    assert "worker traceback" in shown
    assert __file__ in shown and "raise error" in shown


def test_cause_and_context_cross_as_a_chain() -> None:
    def chain() -> None:
        try:
            try:
                {}["missing"]
            except KeyError:
                1 / 0  # noqa: B018
        except ZeroDivisionError as error:
            raise ValueError("outer") from error

    with pytest.raises(ValueError) as caught:
        chain()
    after = roundtrip_exception(caught.value)
    assert isinstance(after.__cause__, ZeroDivisionError)
    assert after.__context__ is after.__cause__
    assert after.__suppress_context__
    assert isinstance(after.__cause__.__context__, KeyError)
    assert not after.__cause__.__suppress_context__

    one, two = ValueError(1), ValueError(2)
    one.__context__, two.__cause__ = two, one
    after = roundtrip_exception(one)
    assert after.__context__.__cause__ is after


def test_what_cannot_cross_of_an_exception_is_said_in_a_note() -> None:
    error = TwoArguments(1, 2)
    error.callback = lambda: 1  # type: ignore[attr-defined]
    after = roundtrip_exception(raised(error))
    assert type(after) is TwoArguments and after.first == 1
    assert any("'callback'" in note for note in after.__notes__)

    class Local(KeyError):
        pass

    after = roundtrip_exception(raised(Local("key")))
    assert type(after) is KeyError
    assert "key" in str(after)
    assert any("Local" in note and "could not cross" in note for note in after.__notes__)

    after = roundtrip_exception(raised(ValueError(threading.Lock())))
    assert type(after) is ValueError
    assert any("could not cross" in note for note in after.__notes__)


class Unshowable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __reduce__(self) -> Any:
        raise RuntimeError("no reduction")


def test_an_exception_that_fights_back_still_arrives() -> None:
    after = roundtrip_exception(raised(Unshowable("x")))
    assert isinstance(after, Exception)


# --- Nothing leaks --------------------------------------------------------------------------------


def attempt(value: Any) -> None:
    try:
        roundtrip(value)
    except (TypeError, AttributeError, pickle.PicklingError, RecursionError):
        pass


CYCLE: list[Any] = []
CYCLE.append((CYCLE, {"c": CYCLE}))
SHARED: list[Any] = ["text " * 20]


@pytest.mark.parametrize(
    "value",
    [
        [1, 2.5, "text", b"bytes", 10**30, {"a": (1, {2}, frozenset({3}))}, range(10**20), slice(1), 1j, bytearray(5)],
        [SHARED, SHARED, (SHARED, SHARED), {SHARED[0]: SHARED}],
        CYCLE,
        Point(1, [Point(2)]),
        [Point(1), lambda: 1],
        [1, [2, {3: threading.Lock()}]],
        nested(5000),
        memoryview(array.array("d", range(50))),
        Cown([1]),
        [Cown([1]), Point(Cown(2))],
    ],
    ids=["native", "shared", "cycle", "pickled", "refused", "refused deep", "nested", "buffer", "cown", "cowns"],
)
def test_a_hop_leaves_nothing_behind(value: Any) -> None:
    def hops() -> int:
        for _ in range(200):
            attempt(value)
        gc.collect()
        return sys.getallocatedblocks()

    hops()
    counts = sys.getrefcount(value), sys.getrefcount(None), sys.getrefcount(Point)
    first = hops()
    second = hops()
    assert second - first < 100, "200 hops leave memory behind"
    assert (sys.getrefcount(value), sys.getrefcount(None), sys.getrefcount(Point)) == counts


def test_a_raised_exception_leaves_nothing_behind() -> None:
    def hops() -> int:
        for _ in range(100):
            roundtrip_exception(raised(TwoArguments(1, 2)))
            roundtrip_exception(raised(ValueError(lambda: 1)))
        gc.collect()
        return sys.getallocatedblocks()

    hops()
    first = hops()
    assert hops() - first < 200
