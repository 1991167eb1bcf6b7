"""Makes MongoDB a replica set of one, without which there are no transactions, and waits until it writes.

A one-shot job, harmless when repeated. A server that is a replica set already (a managed one, or another
program that speaks the protocol) is left as it is.
"""

import os
import sys
import time

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

REPLICA_SET = "campaigns"
DEADLINE_SECONDS = 60
POLL_SECONDS = 0.2
ALREADY_INITIALIZED = 23


def initiate(client: "pymongo.MongoClient[dict[str, object]]", member: str) -> str | None:
    """One step: None when the server is a primary that writes, else what is still missing.

    `member` is host:port, as the clients know the server. Raises PyMongoError while it does not answer.
    """
    hello = client.admin.command("hello")
    if hello.get("isWritablePrimary") and hello.get("setName"):
        return None
    # What mongod says of itself between --replSet and replSetInitiate.
    if not hello.get("isreplicaset"):
        return "it is not the primary" if hello.get("setName") else "it was started without --replSet"
    members = [{"_id": 0, "host": member}]
    try:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    except OperationFailure as error:
        if error.code != ALREADY_INITIALIZED:
            raise
    return "it was told to become one and has not yet"


def main() -> None:
    """MONGO_URL names the server, MONGO_MEMBER the address it takes. Exit code 1 after a minute."""
    url, member = os.environ["MONGO_URL"], os.environ["MONGO_MEMBER"]
    deadline = time.monotonic() + DEADLINE_SECONDS
    problem: str | None = "it was not asked"
    with pymongo.MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=2000) as client:
        while problem and time.monotonic() < deadline:
            try:
                problem = initiate(client, member)
            except PyMongoError as error:
                problem = f"{type(error).__name__}: {error}"
            if problem:
                time.sleep(POLL_SECONDS)
    if problem:
        sys.exit(f"error: {member} is no replica set: {problem}")
    sys.stdout.write(f"mongo: {member} is a primary\n")


if __name__ == "__main__":
    main()
