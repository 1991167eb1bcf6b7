"""The API's document and its reference page, for everybody: GET /api/v1/openapi.json and GET /docs.

The document beside this file is that of all four services, as `make openapi` wrote it; docs/openapi.json is
a link to it. The page is Swagger UI, which a Python package brings along, so that no browser asks anybody
else for it.
"""

from pathlib import Path

from fastapi import FastAPI
from service_kit.api.app import PREFIX
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent
DOCUMENT = FOLDER / "openapi.json"
SWAGGER_UI = ("fastapi_swagger", "resources")
# Swagger UI styles its elements in place and draws its icons from data: URLs; nothing comes from elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}


def add_reference(app: FastAPI) -> None:
    """Serve the document and the page from `app`, without a token."""

    @app.get(f"{PREFIX}/openapi.json", include_in_schema=False)
    async def document() -> FileResponse:
        return FileResponse(DOCUMENT, media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(FOLDER / "page" / "index.html", media_type="text/html", headers=_PAGE_HEADERS)

    app.mount("/docs/swagger-ui", StaticFiles(packages=[SWAGGER_UI]))
    app.mount("/docs/page", StaticFiles(directory=FOLDER / "page"))
