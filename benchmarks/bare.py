"""The baselines over HTTP: a FastAPI route that answers given bytes, and one that answers a find_one as JSON.

python bare.py <port> <mongo url> <folder with the bytes>
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import uvicorn
from fastapi import FastAPI, Response
from service_kit.mongo.client import connect

ANSWERS: dict[str, bytes] = {}


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    """The driver, made in the loop that uses it."""
    app.state.rows = connect(sys.argv[2], timeout_ms=10_000)["campaign-service"]["campaigns"]
    yield


app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=connected)


@app.api_route("/bytes/{name}", methods=["GET", "POST", "PUT"])
async def same_bytes(name: str) -> Response:
    """The bytes, as if by magic."""
    return Response(ANSWERS[name], media_type="application/json")


@app.get("/driver/{campaign_id}")
async def driver_call(campaign_id: str) -> Response:
    """One find_one with what a GET needs, as JSON."""
    found = await app.state.rows.find_one({"_id": campaign_id}, {"terms": 0, "lists": 0, "sortKeys": 0})
    return Response(orjson.dumps(found), media_type="application/json")


def main(port: int, folder: Path) -> None:
    """Serve until killed."""
    ANSWERS.update({path.name: path.read_bytes() for path in folder.iterdir()})

    uvicorn.run(app, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[3]))
