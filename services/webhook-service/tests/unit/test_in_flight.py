"""How many requests run at once, and to whom."""

from webhook_service.domain.delivery import Due
from webhook_service.domain.in_flight import InFlight


def due(endpoint: str, campaign: str, event: int = 1) -> Due:
    return Due(f"{endpoint}:{campaign}:{event}", endpoint, campaign)


def test_one_endpoint_cannot_take_all_the_room():
    flight = InFlight(capacity=10, per_endpoint=3)
    admitted = flight.admit([due("busy", f"c{n}") for n in range(20)] + [due("other", "c")])
    assert [item.endpoint_id for item in admitted] == ["busy"] * 3 + ["other"]
    assert flight.full_endpoints() == ["busy"]


def test_no_more_than_the_capacity_is_admitted():
    flight = InFlight(capacity=2, per_endpoint=8)
    assert len(flight.admit([due(f"e{n}", "c") for n in range(5)])) == 2
    assert flight.room == 0


def test_events_of_one_campaign_go_to_an_endpoint_one_after_another():
    flight = InFlight(capacity=10, per_endpoint=8)
    first, second, elsewhere = due("e", "c", 1), due("e", "c", 2), due("f", "c", 2)
    assert flight.admit([first, second, elsewhere]) == [first, elsewhere]
    flight.leave(first)
    assert flight.admit([second]) == [second]


def test_leaving_gives_the_room_back():
    flight = InFlight(capacity=1, per_endpoint=1)
    (item,) = flight.admit([due("e", "c")])
    flight.leave(item)
    assert (flight.room, flight.full_endpoints(), len(flight)) == (1, [], 0)
