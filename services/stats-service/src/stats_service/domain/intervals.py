"""How sure a rate is.

The score interval of E. B. Wilson (1927), without continuity correction: it keeps within 0 and 1 and is
right for small numbers and rates near 0, where the usual p ± 1.96·s is not. Checked against the values of
R. G. Newcombe, Statistics in Medicine 17 (1998), table I.
"""

from math import sqrt
from typing import Final

Z95: Final = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution: two sides, 95 % in all."""


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of the rate behind `successes` of `trials`: fractions, from low to high.

    Of no trials nothing is known: 0 to 1. More successes than trials are as many.
    """
    if trials <= 0:
        return 0.0, 1.0
    rate = min(max(successes, 0), trials) / trials
    square = Z95 * Z95 / trials
    middle = rate + square / 2
    spread = Z95 * sqrt(rate * (1 - rate) / trials + square / trials / 4)
    low, high = (middle - spread) / (1 + square), (middle + spread) / (1 + square)
    return max(low, 0.0), min(high, 1.0)
