"""What becomes of a contact's next message before anybody counts: the one place for sending and foretelling.

The order is the one in which reasons are told. What depends on other messages (how many a contact got, what
is left of a budget) is decided behind it, of those who would get a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from execution_service.domain.contact import Addressee
from execution_service.domain.rendering import CompiledMessage, Template, compose
from execution_service.domain.suppression import suppression


@dataclass(frozen=True, slots=True)
class Written:
    """What the contact would read, and which variation that is (None: the own content).

    `labels` are those of the buttons, row by row.
    """

    contact: Addressee
    variation_id: str | None
    template: Template
    text: str
    labels: Sequence[Sequence[str]] = ()


def decide(
    message: CompiledMessage, contact_id: str, contact: Addressee | None, *, seed: str, named: bool
) -> Written | str:
    """The text, or the code why there is none. `seed` is the campaign's, `named` as for `suppression`."""
    if contact is None:
        return "CONTACT_ERASED"
    code = suppression(contact, named=named)
    if code is not None:
        return code
    variation_id, template = message.choose(seed, contact_id)
    composed = compose(message, template, contact.fields)
    if isinstance(composed, str):
        return composed
    return Written(contact, variation_id, template, composed.text, composed.labels)
