"""How far this process's clock is from a server's, as bounds that the truth lies between."""

import math

DRIFT = 1e-4
"""Two clocks may run apart by so much: 100 parts in a million."""


class ClockOffset:
    """What all answers of one server have told about our clock minus its, in seconds.

    A server reads its clock at some moment between our asking and its answer's arrival, so the offset lies
    between the two differences. Each answer narrows the bounds; between answers they widen by the drift.
    """

    def __init__(self) -> None:
        self._lower, self._upper = -math.inf, math.inf
        self._seen = 0.0

    def narrow(self, *, asked: float, server: float, heard: float) -> tuple[float, float]:
        """Lower and upper bound once the server's clock showed `server` between `asked` and `heard` of ours.

        An answer that contradicts all before it comes of a clock that was set, or of another server: the
        bounds start anew from it.
        """
        drift, lasted = max(0.0, heard - self._seen) * DRIFT, (heard - asked) * DRIFT
        least, most = asked - server - lasted, heard - server + lasted
        lower, upper = max(self._lower - drift, least), min(self._upper + drift, most)
        if lower > upper:
            lower, upper = least, most
        self._lower, self._upper, self._seen = lower, upper, heard
        return lower, upper
