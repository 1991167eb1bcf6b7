"""Kafka away for a minute."""

from typing import Any

import pytest


@pytest.mark.parametrize("hang", [False, True], ids=["killed", "hanging"])
async def test_a_minute_without_kafka_stops_no_write_and_loses_and_reorders_no_event(
    kafka_outage: Any, hang: bool
):
    await kafka_outage.run(seconds=60, hang=hang)
