"""How many requests run at once, and to whom."""

from webhook_service.domain.backlog import LEAST, Backlog
from webhook_service.domain.delivery import Due
from webhook_service.domain.lines import InFlight, Lines


def due(endpoint: str, number: int) -> Due:
    return Due(f"{endpoint}:{number}", endpoint, "c", number)


def enter(flight: InFlight, *dues: Due, now: float = 0) -> None:
    for item in dues:
        flight.enter(item.key, item.endpoint_id, now)


def test_an_endpoint_of_which_nothing_is_known_gets_no_more_than_its_share():
    flight = InFlight(capacity=100, per_endpoint=3)
    enter(flight, *[due("new", number) for number in range(3)])
    assert (flight.room, flight.room_at("new", 0), flight.room_at("other", 0)) == (97, 0, 3)


def test_of_a_fast_endpoint_more_is_taken_ahead_and_of_a_slow_one_not():
    flight = InFlight(capacity=1000, per_endpoint=8)
    for _ in range(20):
        flight.answered("fast", 0.01, 0)
        flight.answered("slow", 5, 0)
    assert (flight.room_at("fast", 0), flight.room_at("slow", 0)) == (80, 8)
    for _ in range(50):
        flight.answered("fast", 5, 0)
    assert flight.room_at("fast", 0) == 8


def test_what_was_taken_ahead_takes_no_place_of_a_request_and_has_a_limit_of_its_own():
    flight = InFlight(capacity=40, per_endpoint=8)
    for name in ("fast", "too"):
        flight.answered(name, 0.01, 0)
    enter(flight, *[due("fast", number) for number in range(48)])
    assert (flight.room, flight.room_at("too", 0)) == (32, 8)
    for number in range(48):
        flight.leave(f"fast:{number}")
    assert (flight.room, flight.room_at("too", 0), len(flight)) == (40, 80, 0)


def test_an_endpoint_that_falls_silent_is_as_slow_as_it_is_silent():
    flight = InFlight(capacity=1000, per_endpoint=8)
    flight.answered("e", 0.01, 0)
    enter(flight, due("e", 1), now=10)
    assert [flight.room_at("e", now) for now in (10, 10.05, 11)] == [79, 15, 7]
    flight.answered("e", 0.01, 11)
    assert flight.room_at("e", 11) == 79


def test_what_is_known_of_a_quick_endpoint_goes_soon_also_when_all_its_places_are_taken():
    flight = InFlight(capacity=1000, per_endpoint=2)
    for name in ("quick", "silent"):
        flight.answered(name, 0.09, 0)
        enter(flight, *[due(name, number) for number in range(3)])
    flight.answered("quick", 0.09, 5)
    assert [flight.room_at(name, 5) for name in ("quick", "silent")] == [0, -1]
    assert [flight.flows(name, 5) for name in ("quick", "silent", "new")] == [True, False, False]


def test_many_that_hang_leave_places_for_the_others():
    flight = InFlight(capacity=100, per_endpoint=8)
    flight.answered("well", 0.05, 0)
    for turn in range(40):
        hanging = f"hanging{turn}"
        picks = max(0, min(flight.room, flight.room_at(hanging, 5)))
        enter(flight, *[due(hanging, number) for number in range(picks)])
    assert flight.room >= 8
    assert flight.room_at("well", 5) == 16


def test_leaving_gives_the_room_back_once():
    flight = InFlight(capacity=4, per_endpoint=1)
    enter(flight, due("e", 1))
    assert "e:1" in flight and flight.room == 3
    flight.leave("e:1")
    flight.leave("e:1")
    assert (flight.room, flight.room_at("e", 0), len(flight)) == (4, 1, 0)


def test_a_line_serves_so_many_at_once_and_the_others_in_their_order():
    lines: Lines[int] = Lines(per_endpoint=2)
    assert [lines.join("e", number) for number in range(4)] == [0, 1, None, None]
    assert lines.join("other", 9) == 9
    assert [lines.served("e") for _ in range(4)] == [2, 3, None, None]
    assert lines.join("e", 5) == 5


def test_who_is_sent_away_is_not_served():
    lines: Lines[int] = Lines(per_endpoint=1)
    assert [lines.join("e", number) for number in range(3)] == [0, None, None]
    assert lines.clear() == [1, 2]
    assert lines.served("e") is None


def test_a_long_queue_does_not_hold_up_the_others():
    backlog = Backlog(limit=100)
    backlog.add([due("busy", number) for number in range(50)] + [due("other", 1)])
    room = {"busy": 3, "other": 3}
    picked = backlog.pick(10, lambda name: room[name], now=0)
    assert [item.key for item in picked] == ["busy:0", "busy:1", "busy:2", "other:1"]
    assert len(backlog) == 47


def test_endpoints_take_turns_when_there_is_room_for_one():
    backlog = Backlog(limit=100)
    backlog.add([due(name, number) for name in ("a", "b") for number in range(2)])
    picked = [backlog.pick(1, lambda _: 8, now=0)[0].key for _ in range(2)]
    assert picked == ["a:0", "b:0"]


def test_what_is_known_already_is_not_known_twice_and_too_much_is_left_for_later():
    backlog = Backlog(limit=2)
    backlog.add([due("e", 1), due("e", 1), *(due("e", number) for number in range(1, 100)), due("f", 1)])
    assert len(backlog) == LEAST + 1
    assert backlog.enough(lambda _: 1, now=0) == ["e"]
    assert [item.key for item in backlog.pick(3, lambda _: 2, now=0)] == ["e:1", "e:2", "f:1"]


def test_however_much_waits_for_some_there_is_place_for_the_others():
    backlog = Backlog(limit=1000)
    hanging = [f"hanging{number}" for number in range(100)]
    for _ in range(2):
        backlog.add(due(name, number) for name in hanging for number in range(1000))
    backlog.add(due("well", number) for number in range(10))
    room = {"well": 8}
    assert backlog.ready(lambda name: name in room, now=0) == 10
    assert set(backlog.enough(lambda name: room.get(name, 0), now=0)) == set(hanging)
    assert [item.endpoint_id for item in backlog.pick(100, lambda name: room.get(name, 0), now=0)] == [
        "well"
    ] * 8
    assert len(backlog) < 4 * 1000 + 101 * LEAST


def test_an_endpoint_that_is_held_gives_nothing_until_its_time():
    backlog = Backlog(limit=9)
    backlog.add([due("e", 1), due("f", 1)])
    backlog.hold("e", until=5)
    assert [item.key for item in backlog.pick(9, lambda _: 8, now=4)] == ["f:1"]
    assert [item.key for item in backlog.pick(9, lambda _: 8, now=5)] == ["e:1"]
