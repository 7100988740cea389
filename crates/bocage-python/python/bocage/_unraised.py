"""What ``sys.unraisablehook`` gets beside an exception that nobody looked at."""


class Origin(str):
    """Where the exception came from; shown as it is, in several lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
