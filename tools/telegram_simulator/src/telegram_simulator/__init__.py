"""A Bot API server for development: limits, faults and a ledger of every send."""
