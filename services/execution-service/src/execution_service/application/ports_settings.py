"""What use cases need to know, and to change, of an organisation's settings."""

from typing import Protocol

from service_kit.ports import Tx

from execution_service.domain.org_settings import OrgSettings


class RunSettings(Protocol):
    """What holds for an organisation's executions, a moment ago at most."""

    async def of(self, org: str, execution_id: str) -> OrgSettings:
        """What holds for `org`, not older than this process's first question for the execution."""
        ...


class StoredSettings(Protocol):
    """The settings of all organisations, as they are stored."""

    async def of(self, org: str, *, tx: Tx | None = None) -> OrgSettings:
        """What holds for `org`: the defaults when nothing was set."""
        ...

    async def put(self, tx: Tx, settings: OrgSettings) -> None:
        """Store them in the place of the version before. Raises Collision when that is not there any more."""
        ...
