"""What an endpoint asks for, and which secrets sign."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from webhook_service.domain.endpoint import Secret


@pytest.mark.parametrize(
    ("events", "campaigns", "wanted"),
    [
        (("*",), (), True),
        (("*",), ("camp_1", "camp_2"), True),
        (("*",), ("camp_2",), False),
        (("campaign.started",), (), True),
        (("campaign.started",), ("camp_1",), True),
        (("campaign.failed",), ("camp_1",), False),
    ],
)
def test_an_event_is_wanted_when_its_type_and_its_campaign_are(
    make_endpoint: Callable[..., Any], events: tuple[str, ...], campaigns: tuple[str, ...], wanted: bool
):
    endpoint = make_endpoint(events=events, campaign_ids=campaigns)
    assert endpoint.wants("campaign.started", "camp_1") is wanted


def test_a_replaced_secret_signs_until_it_expires(make_endpoint: Callable[..., Any], now: datetime):
    new, old = Secret("new"), Secret("old", now + timedelta(hours=24))
    endpoint = make_endpoint(secrets=(new, old))
    assert endpoint.valid_secrets(now) == (new, old)
    assert endpoint.valid_secrets(now + timedelta(hours=24)) == (new,)
