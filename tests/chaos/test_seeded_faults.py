"""20,000 contacts, three workers, everything killed and parted at moments that a seed decides."""

import os
import secrets
from typing import Any

import pytest
from chaos.schedule import LONG, schedule


async def test_seeded_faults_lose_and_double_nobody(world: Any, seeded_run: Any) -> None:
    if not world.stack.settings.stack_proxied:
        pytest.fail("partitions need toxiproxy: make toxiproxy (it needs Go)")
    seed = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
    await seeded_run(LONG, seed, schedule(seed, LONG))
