"""The noticeboard as Python programs see it."""

import pickle
import types

import pytest
from programs import Program

from bocage import Cown, Matrix, notice_delete, notice_read, notice_write, noticeboard, quiesce, start, wait, when

pytestmark = pytest.mark.usefixtures("quiet")


def test_before_the_start_writing_is_refused() -> None:
    wait(30)
    with pytest.raises(RuntimeError, match="cannot write to the noticeboard"):
        notice_write("key", 1)
    with pytest.raises(RuntimeError, match="cannot delete from the noticeboard"):
        notice_delete("key")
    assert dict(noticeboard()) == {} and notice_read("key", 5) == 5


def test_a_behaviors_writes_are_there_when_it_is_quiet() -> None:
    start()
    for n in range(10):

        @when()
        def _(n=n):
            notice_write(f"key {n}", {"n": [n]})

    assert quiesce(30, noticeboard=True) == {f"key {n}": {"n": [n]} for n in range(10)}
    board = noticeboard()
    assert isinstance(board, types.MappingProxyType)
    assert board["key 3"] == {"n": [3]}
    with pytest.raises(TypeError):
        board["key 3"] = 1  # type: ignore[index]
    assert notice_read("key 4") == {"n": [4]} and notice_read("none") is None and notice_read("none", 3) == 3
    assert set(wait(30, noticeboard=True)) == {f"key {n}" for n in range(10)}
    assert dict(noticeboard()) == {}


def test_a_behavior_sees_one_snapshot() -> None:
    start()
    notice_write("key", 1)
    quiesce(30, noticeboard=True)
    cown = Cown(0)

    @when(cown)
    def seen(cown):
        first = notice_read("key")
        notice_write("key", 2)
        notice_write("new", 1)
        return first, notice_read("key"), dict(noticeboard())

    @when(cown)
    def later(cown):
        return notice_read("key")

    assert quiesce(30, noticeboard=True) == {"key": 2, "new": 1}
    assert seen.unwrap() == (1, 1, {"key": 1})
    assert later.unwrap() in (1, 2)

    @when()
    def latest():
        return notice_read("key")

    quiesce(30)
    assert latest.unwrap() == 2


def test_what_a_behavior_changes_in_place_is_its_own() -> None:
    start()
    notice_write("list", [1])
    quiesce(30, noticeboard=True)
    for _ in range(4):

        @when()
        def seen():
            value = notice_read("list")
            value.append(2)
            return value

        quiesce(30)
        assert seen.unwrap() == [1, 2]
    assert notice_read("list") == [1]


def test_writes_of_one_behavior_are_applied_in_order() -> None:
    start()

    @when()
    def _():
        for n in range(500):
            notice_write("last", n)

    assert wait(30, noticeboard=True) == {"last": 499}


def test_values_of_all_kinds_and_cowns_among_them() -> None:
    start()
    cown = Cown(5)
    notice_write("cown", [cown])
    notice_write("matrix", Matrix(1, 2, [1, 2]))
    quiesce(30, noticeboard=True)

    @when()
    def result():
        inner = notice_read("cown")[0]

        @when(inner)
        def _(inner):
            inner.value += 1

        return notice_read("matrix").tolist()

    board = wait(30, noticeboard=True)
    assert board["cown"][0] == cown and board["matrix"].tolist() == [[1, 2]]
    assert result.unwrap() == [[1, 2]] and cown.unwrap() == 6


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (3, TypeError),
        (None, TypeError),
        (b"k", TypeError),
        ("k" * 64, ValueError),
        ("a\0b", ValueError),
        ("é" * 32, ValueError),
    ],
)
def test_keys_are_checked_at_the_call(key, error: type[Exception]) -> None:
    start()
    with pytest.raises(error):
        notice_write(key, 1)
    with pytest.raises(error):
        notice_delete(key)
    notice_write("k" * 63, 1)
    notice_write("é" * 31, 1)
    assert len(quiesce(30, noticeboard=True)) == 2


def test_a_deleted_key_is_gone_for_later_snapshots_and_makes_room() -> None:
    start()
    for n in range(64):
        notice_write(str(n), n)
    quiesce(30)
    cown = Cown(0)

    @when(cown)
    def own(cown):
        before = notice_read("3")
        notice_delete("3")
        notice_delete("never there")
        return before, notice_read("3")

    board = quiesce(30, noticeboard=True)
    assert own.unwrap() == (3, 3), "a behavior keeps its snapshot"
    assert len(board) == 63 and "3" not in board and notice_read("3", "gone") == "gone"
    # In order with writes, and there is room for another one.
    notice_write("4", 5)
    notice_delete("4")
    notice_write("4", 6)
    notice_write("new", 1)
    board = quiesce(30, noticeboard=True)
    assert (len(board), board["4"], board["new"]) == (64, 6, 1)


def test_a_value_that_cannot_cross_is_refused_at_the_call() -> None:
    start()
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError), match="lambda"):
        notice_write("key", lambda: 1)
    assert quiesce(30, noticeboard=True) == {}


def test_a_65th_key_is_not_installed() -> None:
    start()
    for n in range(70):
        notice_write(str(n), n)
    board = quiesce(30, noticeboard=True)
    assert board == {str(n): n for n in range(64)}
    notice_write("3", "replaced")
    assert quiesce(30, noticeboard=True)["3"] == "replaced"


def test_a_key_that_is_not_installed_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    @when()
    def _():
        for n in range(66):
            notice_write(f"key {n}", n)
            notice_read("key 0")

    quiesce(30, noticeboard=True)
    logged = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert [(name, level) for name, level, _ in logged] == [("bocage", "WARNING")] * 2
    assert "key 64" in logged[0][2] and "key 65" in logged[1][2]
    notice_write("key 66", 66)
    wait(30)
    assert len(caplog.records) == 3 and "key 66" in caplog.records[2].getMessage()


@pytest.mark.parametrize(
    "way", ["notice_write('key 0', 1)", "notice_delete('key 0')", "notice_read('key 0')", "noticeboard()"]
)
def test_whatever_looks_at_the_board_logs(program: Program, way: str) -> None:
    out = program.main(
        f"""
        import logging, sys, time
        from bocage import notice_delete
        logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s")
        start()
        for n in range(65): notice_write(f"key {{n}}", n)
        logged = []
        logging.getLogger("bocage").addFilter(lambda record: logged.append(record) or True)
        ends = time.monotonic() + 30
        while not logged and time.monotonic() < ends: {way}
        print("logged", len(logged))
        """
    )
    assert out == "bocage WARNING\nlogged 1\n"


def test_what_was_not_logged_before_is_at_exit(program: Program) -> None:
    program.main('start()\nfor n in range(65): notice_write(f"key {n}", n)')
    assert program.errors.count("key 64") == 1
