"""What the processes of this service share. Only the bootstrap modules wire; nothing connects at import.

Each process has a module of its own, so that it imports nothing that only another one needs.
"""

import stamina
from service_kit.mongo.client import is_unavailable

SERVICE = "campaign-service"
PATIENTLY = stamina.AsyncRetryingCaller(attempts=None, timeout=None, wait_initial=0.2, wait_max=3).on(
    is_unavailable
)
"""Calls until the database answers: a process does not die because a dependency starts later than it."""
