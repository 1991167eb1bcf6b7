"""A campaign's life, driven at random through the running API, with a model of it beside.

The model is written from the specification alone and shares no code with the service. After every step
status, version and name must be the model's; in the end, every campaign's events must tell its life in
the order of its versions.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

import httpx
import pytest
from campaign_service.application.fire_schedules import fire_schedules
from campaign_service.entrypoints.subscriptions import subscriptions
from contracts.envelope import EventData, format_time, new_event
from contracts.events.campaign import Failure, Totals
from contracts.events.execution import ExecutionCompleted, ExecutionFailed
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

pytestmark = pytest.mark.integration
TOTALS = Totals(targeted=3, successful=3, failed=0, skipped=0, unknown=0)
BODY = {"name": "N0", "messages": [{"content": "T0"}], "targetAudience": {"segments": ["seg123"]}}
FINAL = ("completed", "cancelled")
FEW = 3
"""Campaigns in one run: more of them, and each would live only a little."""
Run = Literal["none", "scheduled", "running", "held", "failed", "missed", "over"]
"""`held`: completed while paused. `missed`: failed before it began."""


@dataclass
class Model:
    """What the specification says of one campaign."""

    id: str
    name: str = "N0"
    text: str = "T0"
    status: str = "draft"
    run: Run = "none"
    at: datetime | None = None
    testing: bool = False
    version: int = 1
    gone: bool = False
    failed: bool = False
    execution_id: str = "exec_none"
    test_id: str = "exec_none"

    @property
    def busy(self) -> bool:
        return self.testing or self.run in ("scheduled", "running")

    @property
    def open_to_change(self) -> bool:
        return self.status == "draft" or (self.status == "paused" and self.run in ("failed", "missed"))

    def step(self, status: str | None = None, run: Run | None = None, versions: int = 1) -> None:
        self.status, self.run = status or self.status, run or self.run
        self.version += versions
        if run is not None:
            # Why the latest execution failed stays to be read after a cancel; a resume clears it.
            self.failed = run in ("failed", "missed") or (run == "over" and self.failed)


class CampaignLife(RuleBasedStateMachine):
    """The rules: everything a client, an execution or the clock can do to a campaign."""

    server: Any
    world: Any
    client: httpx.Client
    campaigns = Bundle("campaigns")

    def __init__(self) -> None:
        super().__init__()
        self.models: list[Model] = []
        self.touched: list[Model] = []
        self.now: datetime = self.world.clock.now()

    # --- what clients do

    @precondition(lambda self: len(self.models) < FEW)
    @rule(target=campaigns)
    def create(self) -> Model:
        answer = self.client.post("/campaigns", json=BODY)
        assert answer.status_code == 201
        return self._known(Model(answer.json()["data"]["id"]))

    @precondition(lambda self: len(self.models) < FEW)
    @rule(target=campaigns, campaign=campaigns)
    def clone(self, campaign: Model) -> Model:
        answer = self.client.post(f"/campaigns/{campaign.id}/clone", json={"name": "Copy"})
        if campaign.gone:
            assert answer.status_code == 404
            return campaign
        assert (answer.status_code, answer.json()["data"]["status"]) == (201, "draft")
        return self._known(Model(answer.json()["data"]["id"], name="Copy", text=campaign.text))

    @rule(campaign=campaigns, delay=st.sampled_from([None, 30, 90]))
    def execute(self, campaign: Model, delay: int | None) -> None:
        at = None if delay is None else self.now + timedelta(minutes=delay)
        body = {} if at is None else {"scheduledAt": at.isoformat()}
        answer = self.client.post(f"/campaigns/{campaign.id}/execute", json=body)
        if self._refused(campaign, answer, busy=campaign.busy, allowed=campaign.status == "draft"):
            return
        data = answer.json()["data"]
        assert data["status"] == ("started" if at is None else "scheduled")
        campaign.execution_id, campaign.at = data["executionId"], at
        campaign.step("active", "running" if at is None else "scheduled")

    @rule(campaign=campaigns)
    def test(self, campaign: Model) -> None:
        answer = self.client.post(f"/campaigns/{campaign.id}/execute", json={"testMode": True})
        allowed = campaign.status not in FINAL
        if not self._refused(campaign, answer, busy=campaign.busy, allowed=allowed):
            campaign.test_id, campaign.testing = answer.json()["data"]["executionId"], True
            campaign.step()

    @rule(campaign=campaigns, codes=st.sampled_from([None, ["USER_BLOCKED"]]))
    def retry(self, campaign: Model, codes: list[str] | None) -> None:
        answer = self.client.post(f"/campaigns/{campaign.id}/retry", json={"errorCodes": codes})
        if self._refused(campaign, answer, allowed=campaign.status == "completed"):
            return
        of, campaign.execution_id = campaign.execution_id, answer.json()["data"]["executionId"]
        campaign.step("active", "running")
        started = json.loads(bytes(self._outbox(campaign)[-1]["value"]))["data"]
        assert started["executionId"] == campaign.execution_id
        assert started["snapshot"]["options"]["retry"] == {
            "of": of, "statuses": ["failed"], "errorCodes": codes,
        }  # fmt: skip

    @rule(campaign=campaigns)
    def pause(self, campaign: Model) -> None:
        answer = self.client.post(f"/campaigns/{campaign.id}/pause")
        if not self._refused(campaign, answer, allowed=campaign.status == "active"):
            campaign.step("paused")

    @rule(campaign=campaigns)
    def resume(self, campaign: Model) -> None:
        answer = self.client.post(f"/campaigns/{campaign.id}/resume")
        if not self._refused(campaign, answer, allowed=campaign.status == "paused"):
            self._resumed(campaign)

    @rule(campaign=campaigns)
    def cancel(self, campaign: Model) -> None:
        answer = self.client.post(f"/campaigns/{campaign.id}/cancel")
        if not self._refused(campaign, answer, allowed=campaign.status not in FINAL):
            self._cancelled(campaign)

    @rule(campaign=campaigns)
    def delete(self, campaign: Model) -> None:
        answer = self.client.delete(f"/campaigns/{campaign.id}")
        if not self._refused(campaign, answer, allowed=campaign.status in ("draft", "cancelled")):
            campaign.gone = True
            campaign.version += 1

    @rule(campaign=campaigns, name=st.sampled_from(["N0", "N1", "N2"]))
    def rename(self, campaign: Model, name: str) -> None:
        answer = self.client.put(f"/campaigns/{campaign.id}", json={"name": name})
        same = name == campaign.name
        if self._refused(campaign, answer, allowed=same or campaign.status not in FINAL, code="NOT_EDITABLE"):
            return
        if not same:
            campaign.name = name
            campaign.step()

    @rule(campaign=campaigns, text=st.sampled_from(["T0", "T1"]), tag=st.booleans())
    def rewrite(self, campaign: Model, text: str, tag: bool) -> None:
        shown = self.client.get(f"/campaigns/{campaign.id}")
        if campaign.gone:
            assert shown.status_code == 404
            return
        [message] = shown.json()["data"]["messages"]
        headers = {"If-Match": shown.headers["ETag"]} if tag else {}
        patch = {"messages": [message | {"content": text}]}
        answer = self.client.put(f"/campaigns/{campaign.id}", json=patch, headers=headers)
        same = text == campaign.text
        allowed = same or campaign.open_to_change
        if not self._refused(campaign, answer, allowed=allowed, code="NOT_EDITABLE") and not same:
            campaign.text = text
            campaign.step()

    @rule(campaign=campaigns, status=st.sampled_from(["draft", "active", "paused", "completed", "cancelled"]))
    def set_status(self, campaign: Model, status: str) -> None:
        answer = self.client.put(f"/campaigns/{campaign.id}", json={"status": status})
        before = campaign.status
        starts = (before, status) == ("draft", "active")
        allowed = before == status or starts or (before, status) in {
            ("active", "paused"), ("paused", "active"), ("draft", "cancelled"), ("active", "cancelled"),
            ("paused", "cancelled"),
        }  # fmt: skip
        if self._refused(campaign, answer, busy=starts and campaign.busy, allowed=allowed):
            return
        if before == status:
            return
        if starts:
            campaign.step("active", "running")
            campaign.execution_id = self._execution_id(campaign)
        elif status == "active":
            self._resumed(campaign)
        elif status == "cancelled":
            self._cancelled(campaign)
        else:
            campaign.step(status)

    # --- what executions do

    @rule(campaign=campaigns, test=st.booleans(), twice=st.booleans())
    def complete(self, campaign: Model, test: bool, twice: bool) -> None:
        execution_id = campaign.test_id if test else campaign.execution_id
        self._happens(
            campaign,
            ExecutionCompleted(
                campaign_id=campaign.id, execution_id=execution_id, totals=TOTALS, completed_at=self.now
            ),
            times=1 + twice,
        )
        if self._ends_a_test(campaign, test) or campaign.run != "running":
            return
        if campaign.status == "paused":
            campaign.step(run="held")
        else:
            campaign.step("completed", "over")

    @rule(campaign=campaigns, test=st.booleans())
    def fail(self, campaign: Model, test: bool) -> None:
        execution_id = campaign.test_id if test else campaign.execution_id
        reason = Failure(code="BOT_UNAUTHORIZED", message="the token was revoked")
        self._happens(
            campaign,
            ExecutionFailed(
                campaign_id=campaign.id, execution_id=execution_id, failure=reason, totals=TOTALS,
                shards_failed=1, failed_at=self.now,
            )
        )  # fmt: skip
        if not self._ends_a_test(campaign, test) and campaign.run == "running":
            campaign.step("paused", "failed")

    # --- what time does

    @rule(minutes=st.sampled_from([10, 45, 200]))
    def time_passes(self, minutes: int) -> None:
        self.world.clock.advance(minutes * 60)
        self.now = self.world.clock.now()
        parts = self.server.consumer_parts
        fire = partial(
            fire_schedules,
            campaigns=parts.campaigns,
            templates=parts.templates,
            transactions=parts.transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        )
        self.server.call(fire())
        for campaign in self.models:
            self.touched.append(campaign)
            if campaign.run != "scheduled" or campaign.status != "active" or campaign.at is None:
                continue
            if campaign.at <= self.now:
                late = self.now - campaign.at > timedelta(hours=1)
                campaign.step("paused" if late else "active", "missed" if late else "running")

    @rule(campaign=campaigns, minutes=st.sampled_from([10, 45, 200]))
    def hold_for_a_while(self, campaign: Model, minutes: int) -> None:
        self.pause(campaign)
        self.time_passes(minutes)
        self.resume(campaign)

    # --- what must hold

    def teardown(self) -> None:
        for campaign in self.models:
            self._check(campaign)
            self._events_tell_the_life_of(campaign)

    def _check(self, campaign: Model) -> None:
        answer = self.client.get(f"/campaigns/{campaign.id}")
        if campaign.gone:
            assert answer.status_code == 404
            return
        data = answer.json()["data"]
        seen = (data["status"], data["name"], data["messages"][0]["content"], answer.headers["ETag"])
        assert seen == (campaign.status, campaign.name, campaign.text, f'"{campaign.version}"'), campaign
        waits_for = campaign.at if campaign.run == "scheduled" else None
        assert data["scheduledAt"] == (waits_for and format_time(waits_for)), campaign
        assert (data["failure"] is not None) == campaign.failed, campaign

    def _events_tell_the_life_of(self, campaign: Model) -> None:
        rows = self._outbox(campaign)
        numbers = [row["sequence"] for row in rows]
        assert numbers == sorted(set(numbers)) and numbers[0] == 1
        assert rows[0]["type"] == "campaign.created"
        last = json.loads(bytes(rows[-1]["value"]))["data"]
        assert campaign.run == "held" or numbers[-1] == campaign.version
        assert last["status"] == campaign.status and (rows[-1]["type"] == "campaign.deleted") == campaign.gone

    # --- steps

    def _known(self, campaign: Model) -> Model:
        self.models.append(campaign)
        self.touched.append(campaign)
        return campaign

    def _refused(
        self,
        campaign: Model,
        answer: httpx.Response,
        *,
        allowed: bool,
        busy: bool = False,
        code: str = "INVALID_TRANSITION",
    ) -> bool:
        """Whether it had to be refused, and was, for the right reason; checks the campaign either way."""
        self.touched.append(campaign)
        if campaign.gone:
            assert answer.status_code == 404
            return True
        expected = "EXECUTION_RUNNING" if busy else None if allowed else code
        if expected is None:
            assert answer.status_code == 200, (answer.text, campaign)
            return False
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, expected), campaign
        return True

    def _resumed(self, campaign: Model) -> None:
        if campaign.run == "scheduled" and campaign.at is not None:
            campaign.at = max(campaign.at, self.now)
            campaign.step("active")
        elif campaign.run == "held":
            campaign.step("completed", "over", versions=2)
        else:
            campaign.step("active", "running", versions=2 if campaign.run == "missed" else 1)

    def _cancelled(self, campaign: Model) -> None:
        campaign.testing = False
        campaign.step("cancelled", "none" if campaign.run == "none" else "over")

    def _ends_a_test(self, campaign: Model, test: bool) -> bool:
        """Whether the event was of a test; its end is a version, and no more."""
        if not test:
            return False
        if campaign.testing and not campaign.gone:
            campaign.testing = False
            campaign.step()
        return True

    def _happens(self, campaign: Model, data: EventData, *, times: int = 1) -> None:
        self.touched.append(campaign)
        event = new_event(data, source="test", subject="x", org="acme", time=self.now)
        handle = subscriptions(self.server.consumer_parts)[type(data)]

        async def deliver() -> None:
            for _ in range(times):
                try:
                    await handle(event)
                except Exception as error:
                    assert type(error).__name__ == "AlreadyHandled"

        self.server.call(deliver())

    def _outbox(self, campaign: Model) -> list[dict[str, Any]]:
        async def read() -> list[dict[str, Any]]:
            rows = self.server.database["outbox"].find({"key": campaign.id})
            return [row async for row in rows.sort([("sequence", 1), ("_id", 1)])]

        found: list[dict[str, Any]] = self.server.call(read())
        return found

    def _execution_id(self, campaign: Model) -> str:
        last = json.loads(bytes(self._outbox(campaign)[-1]["value"]))
        return str(last["data"]["executionId"])

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        for campaign in self.touched:
            self._check(campaign)
        self.touched = []
        super().check_invariants(*args, **kwargs)


def test_a_campaign_lives_as_the_specification_says_whatever_happens(
    running_api: Any, world: Any, token: Callable[..., str]
) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    with httpx.Client(base_url=running_api.url, headers=headers, timeout=10) as client:

        class Life(CampaignLife):
            server = running_api

        Life.world, Life.client = world, client
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=30,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
