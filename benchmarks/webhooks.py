"""How fast webhooks are delivered, from the event in Kafka to the subscriber, beside the client's ceiling.

    make bench BENCH=webhooks        (three minutes, a quiet machine; EVENTS=20000 SECONDS=30 ENDPOINTS=1,100)

Events go into Kafka as campaign-service's relay puts them there; consumer, deliverer, database and a compiled
sink (`sink/sink.c`) that notes what arrives all share the machine's cores. Results:
`results/webhooks.json` and `.md`.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from time import perf_counter, time
from typing import Any

import httpx
import psutil
from aiokafka import AIOKafkaProducer
from contracts.envelope import encode, new_event
from contracts.events.campaign import CampaignCreated
from devstack.secrets import token
from devstack.settings import StackSettings
from devstack.stack import Stack
from watching import Watch
from webhook_report import write
from webhook_sink import WebhookSink

PROGRAMS = (
    "mongo",
    "redis",
    "kafka",
    "webhook-api",
    "webhook-relay",
    "webhook-consumer",
    "webhook-deliverer",
)
BARE = Path(__file__).parent / "bare_webhooks.py"
CEILING_MESSAGES = 20_000
STEADY_PER_SECOND = 100
PATIENCE_SECONDS = 180


class Failed(Exception):
    """Something did not arrive, or not as often as it should."""


def say(text: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{text}\n")


def percentiles(values: list[float]) -> dict[str, float]:
    """Milliseconds of the 50th, 95th and 99th, and the most, of seconds."""
    cuts = quantiles(values, n=100, method="inclusive")
    found = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "most": max(values)}
    return {name: round(value * 1000, 1) for name, value in found.items()}


class Bench:
    """One run against one stack."""

    def __init__(self, stack: Stack, sink: WebhookSink) -> None:
        self.stack, self.sink = stack, sink
        self.environment = stack.environment()
        self.found: dict[str, Any] = {"facts": {}, "ceilings": [], "steady": [], "full": []}
        self.found["facts"]["database"] = Path(stack.programs()["mongo"].command[0]).name
        self.number = 0

    async def everything(self, *, events: int, seconds: int, endpoints: list[int]) -> None:
        """All parts."""
        for kind in ("client", "sender"):
            await self.ceiling(kind)
        async with AIOKafkaProducer(
            bootstrap_servers=self.environment["KAFKA_BOOTSTRAP_SERVERS"], linger_ms=0
        ) as producer:
            for count in endpoints:
                org = f"bench-{count}"
                await self.subscribe(org, count)
                await self.publish(producer, org, 10)  # so that every connection and cache is warm
                await self.arrived(10 * count, seconds=60)
                await self.steady(producer, org, count, seconds)
                await self.full(producer, org, count, max(events // count, 1))

    async def ceiling(self, kind: str) -> None:
        """The HTTP client alone, with nothing around it."""
        self.sink.reset()
        run = await asyncio.create_subprocess_exec(
            sys.executable, str(BARE), kind, self.sink.hook(0), str(CEILING_MESSAGES), "64",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(run.communicate(), PATIENCE_SECONDS)
        if run.returncode:
            raise Failed(f"the bare loop of {kind} failed")
        told = json.loads(output)
        row = {
            "what": kind,
            "perSecond": round(CEILING_MESSAGES / told["seconds"]),
            "cpuPerMillion": round(told["cpu"] / CEILING_MESSAGES * 1e6),
        }
        self.found["ceilings"].append(row)
        say(f"ceiling: {row}")

    async def subscribe(self, org: str, count: int) -> None:
        """So many endpoints of one organisation."""
        headers = {"Authorization": f"Bearer {token(self.environment, org=org, role='admin')}"}
        base = f"http://127.0.0.1:{self.stack.settings.webhook_api_port}/api/v1"
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30, trust_env=False) as http:
            for number in range(count):
                body = {"url": self.sink.hook(number), "events": ["*"]}
                (await http.post("/webhooks", json=body)).raise_for_status()

    async def publish(
        self, producer: AIOKafkaProducer, org: str, count: int, every: float = 0
    ) -> dict[int, float]:
        """Events of as many campaigns; when each was given to Kafka. `every`: seconds between two."""
        told: dict[int, float] = {}
        sent, began = [], perf_counter()
        self.sink.reset()
        for place in range(count):
            if every:
                await asyncio.sleep(max(0.0, began + place * every - perf_counter()))
            campaign = f"camp_{self.number:026d}"
            data = CampaignCreated(campaign_id=campaign, name="Summer sale", type="message", status="draft")
            event = new_event(
                data, source="/bench", subject=campaign, org=org, time=datetime.now(UTC), sequence=1,
                event_id=f"evt_{self.number:026d}",
            )  # fmt: skip
            told[self.number] = time()
            self.number += 1
            sent.append(await producer.send("campaign-events", encode(event), key=campaign.encode()))
        await asyncio.gather(*sent)
        return told

    async def arrived(self, count: int, *, seconds: float) -> None:
        """Wait until so many have."""
        until = perf_counter() + seconds
        while (found := len(self.sink.arrivals())) < count:
            if perf_counter() > until:
                raise Failed(f"{found} of {count} arrived within {seconds} s")
            await asyncio.sleep(1)

    async def steady(self, producer: AIOKafkaProducer, org: str, endpoints: int, seconds: int) -> None:
        """Latency at a hundred deliveries a second."""
        rate = max(STEADY_PER_SECOND // endpoints, 1)
        count = rate * seconds
        with Watch(self.pids()) as watch:
            told = await self.publish(producer, org, count, every=1 / rate)
            await self.arrived(count * endpoints, seconds=60)
        row = {"endpoints": endpoints, "events": count, **self.latencies(told, endpoints)}
        self.found["steady"].append({**row, "processes": watch.rows()})
        say(f"steady: {row}")

    async def full(self, producer: AIOKafkaProducer, org: str, endpoints: int, events: int) -> None:
        """All at once."""
        with Watch(self.pids()) as watch:
            told = await self.publish(producer, org, events)
            await self.arrived(events * endpoints, seconds=PATIENCE_SECONDS)
        arrivals = self.sink.arrivals()
        first, last = arrivals[0].at, arrivals[-1].at
        cpu = {name: row["cpuSeconds"] for name, row in watch.rows().items() if name != "bench"}
        row = {
            "endpoints": endpoints, "deliveries": len(arrivals),
            "perSecond": round((len(arrivals) - 1) / (last - first)),
            "wholePath": round(len(arrivals) / (last - min(told.values()))),
            "cpuPerMillion": round(sum(cpu.values()) / len(arrivals) * 1e6),
            **self.latencies(told, endpoints),
        }  # fmt: skip
        self.found["full"].append({**row, "processes": watch.rows()})
        say(f"full rate: {row}")
        say(f"    CPU seconds: {cpu}")

    def latencies(self, told: dict[int, float], endpoints: int) -> dict[str, float]:
        """Of what arrived, from Kafka's producer to the sink. Raises Failed unless each came once to each."""
        arrivals = self.sink.arrivals()
        pairs = {(item.event, item.hook) for item in arrivals}
        expected = {(event, hook) for event in told for hook in range(endpoints)}
        if len(pairs) != len(arrivals) or pairs != expected:
            raise Failed(f"{len(arrivals)} arrivals of {len(pairs)} for {len(told)} events")
        return percentiles([item.at - told[item.event] for item in arrivals])

    def pids(self) -> dict[str, int]:
        """Of every running program, the sink and this bench."""
        found = {row.name: row.pid for row in self.stack.status() if row.pid}
        return {**found, "sink": self.sink.process.pid, "bench": os.getpid()}


def settings_of(folder: Path) -> StackSettings:
    """A stack of the bench's own."""
    base = int(os.environ.get("BENCH_PORT_BASE", "17000"))
    return StackSettings(stack_dir=folder, stack_port_base=base, gateway_port=base + 300)


def main() -> None:
    """A sink and a stack, the run, and their end. Exit code 1: something was lost or came twice."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stack ends with this process
    endpoints = [int(part) for part in os.environ.get("ENDPOINTS", "1,100").split(",")]
    events, seconds = int(os.environ.get("EVENTS", "20000")), int(os.environ.get("SECONDS", "30"))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, WebhookSink() as sink:
        stack, problem = Stack(settings_of(Path(folder)), only=PROGRAMS), None
        load, began = psutil.getloadavg()[0], perf_counter()
        stack.up(say)
        bench = Bench(stack, sink)
        bench.found["facts"]["load of the machine before"] = round(load, 2)
        try:
            asyncio.run(bench.everything(events=events, seconds=seconds, endpoints=endpoints))
        except Failed as error:
            bench.found["facts"]["stopped by"] = problem = str(error)
        finally:
            stack.down()
    bench.found["facts"]["seconds of the whole run"] = round(perf_counter() - began)
    say(f"written to {write(bench.found)}")
    if problem:
        raise SystemExit(f"error: {problem}")


if __name__ == "__main__":
    main()
