"""A stream of bytes cut into lines, in constant memory."""

MAX_LINE_BYTES = 64 * 1024
BOM = b"\xef\xbb\xbf"

RawLine = tuple[int, bytes | None]
"""Number (from 1) and bytes without the line end; None stands for a line over the limit."""


class LineSplitter:
    """Feed it chunks; it holds at most one line, and of an over-long one nothing but its number."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._number = 0
        self._too_long = False

    def feed(self, chunk: bytes) -> list[RawLine]:
        """The lines that `chunk` completes."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for part in complete:
            self._hold(part)
            lines.append(self._take())
        self._hold(rest)
        return lines

    def finish(self) -> list[RawLine]:
        """The last line, when it had no line end."""
        return [self._take()] if self._rest or self._too_long else []

    def _hold(self, part: bytes) -> None:
        if self._too_long or len(self._rest) + len(part) > MAX_LINE_BYTES:
            self._too_long = True
            self._rest.clear()
        else:
            self._rest += part

    def _take(self) -> RawLine:
        self._number += 1
        line = None if self._too_long else bytes(self._rest).removesuffix(b"\r")
        if line is not None and self._number == 1:
            line = line.removeprefix(BOM)
        self._rest.clear()
        self._too_long = False
        return self._number, line
