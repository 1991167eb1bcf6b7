"""The one kind of failure that the stack reports: a cause, where to look, and what to do about it."""

from pathlib import Path


class StackError(Exception):
    """The stack cannot do what was asked. `line()` is the whole message for a person."""

    def __init__(self, cause: str, *, mend: str, log: Path | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.mend = mend
        self.log = log

    def line(self) -> str:
        """`error: cause (log: path; mend: advice)`, always a single line."""
        notes = [f"log: {self.log}"] if self.log else []
        notes.append(f"mend: {self.mend}")
        return " ".join(f"error: {self.cause} ({'; '.join(notes)})".split())
