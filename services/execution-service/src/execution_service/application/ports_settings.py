"""What use cases need to know, and to change, of an organisation's settings."""

from typing import Protocol

from service_kit.ports import Tx

from execution_service.domain.org_settings import OrgSettings


class Settings(Protocol):
    """The settings of all organisations, to be read."""

    async def of(self, org: str) -> OrgSettings:
        """What holds for `org`: the defaults when nothing was set."""
        ...


class StoredSettings(Protocol):
    """The settings of all organisations, as they are stored."""

    async def of(self, org: str, *, tx: Tx | None = None) -> OrgSettings:
        """What holds for `org`: the defaults when nothing was set."""
        ...

    async def put(self, tx: Tx, settings: OrgSettings) -> None:
        """Store them in the place of the version before. Raises Collision when that is not there any more."""
        ...
