"""The service's metrics."""

from prometheus_client import Counter, Gauge, Histogram

FACTS = Counter(
    "campaigns_stats_facts_total",
    "Facts taken from events, by what became of them: counted, duplicate, parked.",
    ["result"],
)
DROPPED = Counter(
    "campaigns_stats_dropped_total",
    "Facts that do not count, by reason: unreadable, future, foreign, failed (those are parked); excess.",
    ["reason"],
)
FRESHNESS = Histogram(
    "campaigns_stats_freshness_seconds",
    "From when the oldest outcome of a batch was recorded until the batch was in the numbers.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600),
)
FOLD_SECONDS = Histogram("campaigns_stats_fold_seconds", "Time to store a batch of one partition.")
GAPS = Counter("campaigns_stats_gaps_total", "Gaps in what the consumer delivered, closed from the log.")
LOST = Counter(
    "campaigns_stats_lost_offsets_total", "Offsets that were never folded and are not in the log any more."
)
RESETS = Counter(
    "campaigns_stats_position_resets_total", "Positions beyond the end of their partition, started again."
)
CAUGHT_UP = Counter("campaigns_stats_caught_up_total", "Partitions that stood still and were brought up.")
CLICKS = Counter(
    "campaigns_stats_clicks_total",
    "Clicks on tracking links, by what became of them: stored, lost.",
    ["result"],
)
FOLLOWED = Counter(
    "campaigns_stats_links_followed_total",
    "Requests for links: click; nobody's (machine, prefetch, head); no link of ours (refused); or one "
    "whose execution was not heard of (not_known).",
    ["result"],
)
ANSWERS = Counter(
    "campaigns_stats_answers_total",
    "Answers of the statistics that were looked for, whoever shared them: kept, made.",
    ["result"],
)
ANNOUNCED = Counter("campaigns_stats_announced_total", "Announcements of a campaign's statistics.")
RECONCILED = Counter(
    "campaigns_stats_reconciled_campaigns_total",
    "Campaigns whose numbers were compared with a recount of the log: equal, different; skipped where that "
    "cannot be said: they moved meanwhile, or the log no longer holds all.",
    ["result"],
)
DIFFERENT = Gauge(
    "campaigns_stats_different_campaigns", "Campaigns whose numbers differed at the last reconciliation."
)
