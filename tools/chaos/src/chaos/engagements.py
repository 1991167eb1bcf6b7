"""What people did with messages, in a history."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts.events.engagement import Click, EngagementClicked, EngagementConverted

from chaos.teller import Teller


class Arrival(NamedTuple):
    """A message that came, and when it did: in the story, and among the moments of publishing."""

    contact: str
    message: str
    at: datetime
    moment: float


@dataclass
class People:
    """Those who did something: mostly who got a message, and after it came."""

    teller: Teller
    arrivals: list[Arrival]

    def engage(self) -> None:
        """Somebody does something."""
        random = self.teller.random
        arrival = random.choice(self.arrivals)
        if random.random() < 0.04:
            arrival = arrival._replace(contact=f"stranger{random.randrange(50)}")
        moment = arrival.moment + random.uniform(-0.05, 0.25)
        if random.random() < 0.65:
            self._click(arrival, moment)
        else:
            self._convert(arrival, moment)

    def click_of_tomorrow(self) -> None:
        """A click that has not happened yet: to be parked."""
        event = self._clicked("c0-1", "msg_1", self.teller.hour + timedelta(days=3))
        self.teller.say(0.4, event, counts=False)

    def _click(self, arrival: Arrival, moment: float) -> None:
        random = self.teller.random
        message = arrival.message if random.random() < 0.95 else "msg_other"
        at = self.teller.after(arrival.at, days=3)
        event = self._clicked(arrival.contact, message, at, test_mode=random.random() < 0.03)
        self.teller.say(moment, event)
        if random.random() < 0.2:
            click = Click(execution_id=event.execution_id, message_id=message, clicked_at=at)
            self._convert(arrival, moment + 0.02, click=click)

    def _clicked(
        self, contact: str, message: str, at: datetime, *, test_mode: bool = False
    ) -> EngagementClicked:
        return EngagementClicked(
            campaign_id=self.teller.id,
            execution_id=f"exec_1_{self.teller.id}",
            test_mode=test_mode,
            message_id=message,
            contact_id=contact,
            button=0,
            url="https://example.org/",
            clicked_at=at,
        )

    def _convert(self, arrival: Arrival, moment: float, click: Click | None = None) -> None:
        random = self.teller.random
        base = click.clicked_at if click else arrival.at - timedelta(hours=1)
        event = EngagementConverted(
            campaign_id=self.teller.id,
            conversion_id=self.teller.new_id("conv"),
            test_mode=random.random() < 0.03,
            contact_id=arrival.contact,
            value=random.randrange(2_000_000) / 10_000,
            currency=random.choice(["EUR", "EUR", "EUR", "USD"]),
            click=click,
            converted_at=self.teller.after(base, days=10),
        )
        self.teller.say(moment, event)
