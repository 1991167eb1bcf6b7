"""`python -m demo`: brings the stack up, shows the main job, takes the stack down again (KEEP=1 does not)."""

import asyncio
import os
import sys

from devstack import secrets, table
from devstack.errors import StackError
from devstack.settings import REPOSITORY, StackSettings
from devstack.stack import Stack
from pydantic import ValidationError
from rich.console import Console

from demo.api import DemoError
from demo.contacts import write
from demo.run import run_demo

ORG = "demo"


def main() -> None:
    """Exit 0 when every number agrees, 1 when one differs or the demo could not run."""
    console = Console(highlight=False)
    stack = Stack(StackSettings())
    keep = os.environ.get("KEEP", "") not in ("", "0")
    was_up = any(row.state == "RUNNING" for row in stack.status())
    different = 1
    try:
        console.print("[bold]0.[/] start the stack: Kafka, MongoDB, Redis, gateway, simulator, four services")
        stack.up(lambda step: console.print(f"   {step}"))
        different = _demo(stack, console)
    except (StackError, DemoError, ValidationError) as error:
        console.print(
            error.line() if isinstance(error, StackError) else f"error: {error}", style="red", markup=False
        )
    finally:
        if keep or was_up:
            _where_to_go_on(stack, console)
        else:
            stack.down()
            console.print("the stack is down again; [bold]KEEP=1 make demo[/] leaves it up to go on with:")
            _where_to_go_on(stack, console)
    sys.exit(1 if different else 0)


def _demo(stack: Stack, console: Console) -> int:
    contacts = REPOSITORY / "examples" / "contacts.csv"
    if not contacts.exists():
        write(contacts)
    environment = table.environment(stack.settings)
    token = secrets.token(environment, org=ORG, role="admin")
    if stack.settings.telegram_api_base_url:
        raise DemoError("the demo needs the simulator's ledger: unset TELEGRAM_API_BASE_URL")
    simulator = table.telegram_url(stack.settings)
    different = asyncio.run(run_demo(stack.settings.gateway_url, simulator, token, contacts, console))
    if different:
        console.print(f"[bold red]{different} numbers differ[/]")
    else:
        console.print("[bold green]every number agrees: nobody was missed, nobody got it twice[/]")
    return different


def _where_to_go_on(stack: Stack, console: Console) -> None:
    gateway = stack.settings.gateway_url
    console.print(
        f"  campaigns   {gateway}/api/v1/campaigns   (Authorization: Bearer $(make token ORG={ORG}))"
    )
    console.print(f"  simulator   {table.telegram_url(stack.settings)}/ledger/summary")
    console.print(f"  logs        {stack.settings.log_dir}")


if __name__ == "__main__":
    main()
