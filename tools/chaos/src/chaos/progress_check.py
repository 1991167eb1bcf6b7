"""What every single answer of /progress must hold, and what it must hold beside the one before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OUTCOMES = ("successful", "failed", "skipped", "unknown")
FINAL = ("completed", "failed", "cancelled")


@dataclass
class ProgressCheck:
    """Fed with answers in the order in which they were asked for; collects what is wrong."""

    reads: int = 0
    problems: list[str] = field(default_factory=list)
    last: Mapping[str, Any] | None = None

    def feed(self, answer: Mapping[str, Any]) -> None:
        """Look at one answer's `data`."""
        self.reads += 1
        for problem in (*_alone(answer), *_beside(self.last, answer)):
            self.problems.append(f"read {self.reads}: {problem}: {answer} after {self.last}")
        self.last = answer


def _alone(answer: Mapping[str, Any]) -> list[str]:
    numbers = answer["progress"]
    problems = []
    if numbers["total"] != numbers["processed"] + numbers["pending"]:
        problems.append("total is not processed + pending")
    if numbers["processed"] != sum(numbers[name] for name in OUTCOMES):
        problems.append("processed is not the sum of the outcomes")
    if min(numbers.values()) < 0:
        problems.append("a number is negative")
    if answer["status"] == "completed" and numbers["pending"]:
        problems.append("completed with somebody pending")
    return problems


def _beside(last: Mapping[str, Any] | None, answer: Mapping[str, Any]) -> list[str]:
    if last is None:
        return []
    problems = [
        f"{name} shrank"
        for name in ("total", "processed", *OUTCOMES)
        if answer["progress"][name] < last["progress"][name]
    ]
    if last["status"] in FINAL and answer["status"] != last["status"]:
        problems.append(f"{last['status']} did not last")
    return problems
