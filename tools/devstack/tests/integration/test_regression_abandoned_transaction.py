"""A process killed in the middle of a transaction stopped others for a minute.

The crash test of the aggregator failed now and then: after `kill -9` its successor met nothing but write
conflicts on the campaign's numbers until the server gave the dead client's transaction up, which takes a
minute by default. The stack now tells the server to do so after 20 seconds.
"""

from collections.abc import Callable

import pymongo
import pytest
from devstack.components import mongo
from devstack.stack import Stack

pytestmark = pytest.mark.integration


def test_the_server_ends_abandoned_transactions_soon_where_it_can_be_told(
    new_stack: Callable[..., Stack],
) -> None:
    stack = new_stack(only={"mongo"})
    stack.up()
    told = mongo.limit_transactions(stack.settings)
    assert told is (mongo.choose(stack.settings) != "secantusd-py")
    url = f"mongodb://127.0.0.1:{stack.settings.mongo_port}/?directConnection=true"
    with pymongo.MongoClient[dict[str, object]](url) as client:
        answer = client.admin.command({"getParameter": 1, "transactionLifetimeLimitSeconds": 1})
    assert answer.get("transactionLifetimeLimitSeconds") == (
        stack.settings.stack_transaction_seconds if told else None
    )
