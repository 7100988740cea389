"""How far a program is: which statement of a module's own code runs now.

What comes after it did not happen yet, and must not happen in a worker first.
"""

import bisect
import dis
import itertools
import sys
from collections.abc import Sequence
from types import FrameType

Place = tuple[int, int]
"""A line and a column, in bytes as the compiler counts them."""


def module_frame(namespace: dict[str, object], filename: str) -> FrameType | None:
    """The frame of a module's own code, if the calling thread is in it.

    Other threads' frames are not looked for: ``sys._current_frames`` takes in
    those of all interpreters, which run meanwhile.
    """
    frame: FrameType | None = sys._getframe(1)
    found = None
    while frame is not None:
        code = frame.f_code
        # The outermost: text run by exec() may have the same globals and name.
        if code.co_name == "<module>" and code.co_filename == filename and frame.f_globals is namespace:
            found = frame
        frame = frame.f_back
    return found


def is_at_end(frame: FrameType) -> bool:
    """Whether the code ran to its end."""
    return dis.opname[frame.f_code.co_code[frame.f_lasti]].startswith("RETURN_")


def passed(frame: FrameType, ends: Sequence[Place]) -> int:
    """How many of these places, which are in order, the frame is past."""
    line = frame.f_lineno or 0
    place = (line, 0)
    at = bisect.bisect_left(ends, place)
    if at < len(ends) and ends[at][0] == line:
        # Something ends on the very line: the instruction's column tells.
        index = frame.f_lasti // 2
        for start, _, column, _ in itertools.islice(frame.f_code.co_positions(), index, index + 1):
            place = (start or line, column or 0)
    return bisect.bisect_right(ends, place)
