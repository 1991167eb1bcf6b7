"""What a copy of a campaign is called."""

MAX_LENGTH = 200


def copy_names(name: str, *, start: int, count: int) -> list[str]:
    """`count` names from number `start` (1-based) on: "N (Copy)", "N (Copy 2)", …; N is cut where needed."""
    return [_copy_name(name, number) for number in range(start, start + count)]


def _copy_name(name: str, number: int) -> str:
    suffix = " (Copy)" if number == 1 else f" (Copy {number})"
    return name[: MAX_LENGTH - len(suffix)].rstrip() + suffix
