"""`python -m <service> <command>`: a service's processes, and jobs that people start, by name.

A command imports what it runs inside its function, so that a process pays for nothing but its own parts:
a stack starts fourteen at once, and all that they do until then is import. Garbage is not looked for
meanwhile, which was an eighth of that time; `run_process` begins with it.
"""

import argparse
import gc
import inspect
import sys
from collections.abc import Callable, Sequence


def run_command(
    commands: Sequence[Callable[..., None]], *, program: str, arguments: Sequence[str] | None = None
) -> None:
    """Run the command whose function's name is the first argument; usage and exit code 2 without one.

    A parameter of the function is one more argument, a text, required.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", allow_abbrev=False)
    chosen = parser.add_subparsers(dest="command", metavar="command", required=True)
    for command in commands:
        parts = chosen.add_parser(command.__name__, help=inspect.getdoc(command), allow_abbrev=False)
        for parameter in inspect.signature(command).parameters:
            parts.add_argument(parameter)
    given = vars(parser.parse_args(sys.argv[1:] if arguments is None else arguments))
    name = given.pop("command")
    gc.disable()
    next(command for command in commands if command.__name__ == name)(**given)
