"""A request's path, as logs may show it."""

from starlette.types import Scope


def log_path(scope: Scope) -> str:
    """The path, or the route's when the path is a token: who has it may use it."""
    route = str(getattr(scope.get("route"), "path", ""))
    return route if "{token}" in route else str(scope["path"])
