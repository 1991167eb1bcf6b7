"""Folding what persons did, and whom messages reached, into what persons count (see `person`).

Mental model: every contact that did something in a campaign is a person. All persons of a batch take in the
batch's clicks and conversions, and the messages of the batch that reached them; then each adds the difference
to what it counted before. A click that comes before its delivery counts for the campaign at once, and for
message and segments when the delivery is folded.
"""

from collections import defaultdict

from stats_service.domain.facts import Clicked, Converted
from stats_service.domain.people import Wanted
from stats_service.domain.person import Click, Conversion, Person, Received, contributions, difference
from stats_service.domain.states import Changes, Known, PersonKey, Result

NOBODY = Person()


def engage(fact: Clicked | Converted, known: Known, changes: Changes) -> Result:
    """Let a person have done something."""
    key = PersonKey(fact.campaign, fact.contact)
    before = changes.people.get(key) or known.people.get(key)
    if before is None:
        before = NOBODY.reached(known.received.get(key, ()))
    if isinstance(fact, Clicked):
        after = before.clicked(Click(fact.at, fact.event, fact.message))
        known_name = any(click.name == fact.event for click in before.clicks)
        full = len(after.clicks) == len(before.clicks)
    else:
        done = Conversion(fact.at, fact.conversion, fact.value, fact.currency, fact.click)
        after = before.converted(done)
        known_name = any(item.name == done.name for item in before.conversions)
        full = len(after.conversions) == len(before.conversions)
    if known_name:
        return Result.DUPLICATE
    if after is not before:
        changes.people[key] = after
        changes.book(fact.campaign, fact.org)
    return Result.DROPPED if full else Result.COUNTED


def settle_people(known: Known, changes: Changes, window_ms: int) -> None:
    """Let the messages of the batch have reached its persons, and add what they count now."""
    for key, received in _reached(known, changes).items():
        changes.people[key] = (changes.people.get(key) or known.people[key]).reached(received)
    for key, after in changes.people.items():
        book = changes.books[key.campaign]
        before = contributions(known.people.get(key, NOBODY), window_ms)
        for cell, number in difference(before, contributions(after, window_ms)):
            book.count(cell, number)


def _reached(known: Known, changes: Changes) -> dict[PersonKey, list[Received]]:
    """What reached the persons of the batch in it."""
    persons: dict[str, list[bytes]] = defaultdict(list)
    for key in known.people.keys() | changes.people.keys():
        persons[key.campaign].append(key.contact)
    wanted = {campaign: Wanted(contacts) for campaign, contacts in persons.items()}
    found: dict[PersonKey, list[Received]] = defaultdict(list)
    for shard, groups in changes.reached.items():
        if shard.campaign not in wanted:
            continue
        for received, contacts in groups.items():
            for contact in wanted[shard.campaign].among(contacts):
                found[PersonKey(shard.campaign, contact)].append(received)
    return found
