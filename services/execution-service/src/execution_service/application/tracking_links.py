"""The addresses behind buttons: each names link and contact, and stats-service sends on from there."""

from collections.abc import Sequence

from contracts.tracking import Tracked, TrackingKeys

from execution_service.application.ports_sending import LinkButton
from execution_service.domain.rendering import CompiledMessage


class TrackingLinks:
    """Makes addresses that begin with `base_url`."""

    def __init__(self, keys: TrackingKeys, *, base_url: str) -> None:
        self._keys = keys
        self._base = base_url.rstrip("/")

    def keyboard(
        self, execution_id: str, contact_id: str, message: CompiledMessage, labels: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[LinkButton]]:
        """The contact's buttons; `labels` as for the message's keyboard."""
        if not message.keyboard:
            return ()
        return [
            [
                LinkButton(label, self._url(Tracked(execution_id, button.link_id, contact_id)))
                for button, label in zip(row, written, strict=True)
            ]
            for row, written in zip(message.keyboard, labels, strict=True)
        ]

    def _url(self, tracked: Tracked) -> str:
        return f"{self._base}/{self._keys.sign(tracked)}"
