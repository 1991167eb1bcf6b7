"""python -m webhook_service api|consumer|deliverer: one process each."""

import sys
from collections.abc import Mapping

import typer
from pydantic import ValidationError
from service_kit.kafka.consumer import ConsumerLoop
from service_kit.process import Part, api_part, run_process

from webhook_service.bootstrap import CONSUMER, Wiring
from webhook_service.entrypoints.api.app import build_app
from webhook_service.entrypoints.deliverer import Deliverer, Pace
from webhook_service.entrypoints.subscriptions import subscriptions
from webhook_service.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


class Process:
    """One process on its way up: its settings, its wiring once the loop runs, and its health."""

    def __init__(self) -> None:
        try:
            self.settings = Settings()
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, item['loc'])).upper() or 'settings'}: {item['msg']}"
                for item in error.errors()
            )
            typer.echo(f"webhook-service cannot start: {problems}", err=True)
            sys.exit(1)
        self._wiring: Wiring | None = None

    async def wire(self) -> Wiring:
        """The wiring, its indexes made."""
        self._wiring = Wiring(self.settings)
        await self._wiring.prepare()
        return self._wiring

    async def ready(self) -> bool:
        """The database answers."""
        return self._wiring is not None and await self._wiring.database_answers()

    async def close(self) -> None:
        """Let go of what was wired."""
        if self._wiring is not None:
            await self._wiring.close()


@app.command()
def api() -> None:
    """Serve /webhooks."""
    process = Process()

    async def prepare() -> Mapping[str, Part]:
        wiring = await process.wire()
        served = build_app(wiring.api_ports(), process.settings)
        return {"api": api_part(served, process.settings)}

    run_process("webhook-api", process.settings, prepare=prepare, ready=process.ready, close=process.close)


@app.command()
def consumer() -> None:
    """Turn campaign events into deliveries."""
    process = Process()
    loops: list[ConsumerLoop] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = await process.wire()
        loop = wiring.consumer(subscriptions(await wiring.fan_out()), group=CONSUMER)
        loops.append(loop)
        return {"consumer": loop.run}

    async def ready() -> bool:
        return all(loop.ready.is_set() for loop in loops) and await process.ready()

    run_process("webhook-consumer", process.settings, prepare=prepare, ready=ready, close=process.close)


@app.command()
def deliverer() -> None:
    """Send deliveries that are due."""
    process = Process()
    running: list[Deliverer] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = await process.wire()
        settings = process.settings
        pace = Pace(
            workers=settings.webhook_workers,
            per_endpoint=settings.webhook_per_endpoint,
            poll_seconds=settings.webhook_poll_seconds,
            lease_seconds=settings.webhook_lease_seconds,
            drain_seconds=settings.webhook_drain_seconds,
        )
        part = Deliverer(wiring.deliveries, wiring.attempt_delivery(), clock=wiring.clock, pace=pace)
        running.append(part)
        return {"deliverer": part.run, "gauge": part.gauge}

    async def live() -> bool:
        return all([await part.is_alive() for part in running])

    run_process(
        "webhook-deliverer",
        process.settings,
        prepare=prepare,
        ready=process.ready,
        live=live,
        close=process.close,
        drain_seconds=process.settings.webhook_drain_seconds + 2,
    )


if __name__ == "__main__":
    app()
