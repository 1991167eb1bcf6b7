"""`Idempotency-Key`: a request that creates or starts something takes effect once, however often it comes.

`keys` is the port and its rules, `once` the way a use case runs under a key, `mongo_keys` the store.
The FastAPI side is `service_kit.api.idempotency`.
"""
