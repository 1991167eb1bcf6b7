"""The baselines over HTTP: FastAPI routes that do nothing, or one call of the driver, and answer given bytes.

python bare.py <port> <mongo url> <folder with the bytes>
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response
from service_kit.mongo.client import connect

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
ANSWERS: dict[str, bytes] = {}


@app.api_route("/bytes/{name}", methods=["GET", "POST", "PUT"])
async def same_bytes(name: str) -> Response:
    """The bytes, as if by magic."""
    return Response(ANSWERS[name], media_type="application/json")


@app.get("/driver/{campaign_id}")
async def driver_call(campaign_id: str) -> Response:
    """One find_one, and the bytes."""
    found = await app.state.rows.find_one({"_id": campaign_id})
    assert found is not None  # noqa: S101 - the bench knows its campaigns
    return Response(ANSWERS["get"], media_type="application/json")


def main(port: int, mongo_url: str, folder: Path) -> None:
    """Serve until killed."""
    ANSWERS.update({path.name: path.read_bytes() for path in folder.iterdir()})

    @app.on_event("startup")
    async def connect_in_the_loop() -> None:
        app.state.rows = connect(mongo_url, timeout_ms=10_000)["campaign-service"]["campaigns"]

    uvicorn.run(app, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
