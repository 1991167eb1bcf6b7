from pathlib import Path

from devstack.errors import StackError
from devstack.watch import last_words


def test_an_error_is_one_line_with_cause_log_and_mend() -> None:
    error = StackError("kafka dies\n  while starting", log=Path("/logs/kafka.log"), mend="look at it")
    assert error.line() == "error: kafka dies while starting (log: /logs/kafka.log; mend: look at it)"


def test_without_a_log_the_line_has_only_the_mend() -> None:
    assert StackError("no Java", mend="install it").line() == "error: no Java (mend: install it)"


def test_the_last_words_are_the_last_line_that_says_something(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("first line here\n╭─ Error ──╮\n│ No such command 'x'. │\n╰──────────╯\n\n")
    assert last_words(log) == "No such command 'x'."
    assert last_words(tmp_path / "none.log") == ""


def test_the_last_words_prefer_an_error_to_what_follows_it(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("starting up\nerror: JWT_SECRET is missing\nprocess.stopping code=1\n")
    assert last_words(log) == "error: JWT_SECRET is missing"
