"""Popularity by Zipf's law: which images are asked for, and how many of them an LRU cache knows. Pure.

The k-th most popular image of `count` has a share proportional to k**-exponent; at 0 all are equal.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Shares = npt.NDArray[np.float64]


def shares(count: int, exponent: float) -> Shares:
    """The share of each image in the requests, the most popular first."""
    weights: Shares = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    weights /= weights.sum()
    return weights


def draws(popularity: Shares, length: int, *, seed: int) -> Sequence[int]:
    """So many independent requests: for each the number of its image."""
    found: list[int] = np.random.default_rng(seed).choice(len(popularity), length, p=popularity).tolist()
    return found


def hit_rate(popularity: Shares, entries: float) -> float:
    """The share of requests whose image is in an LRU cache of so many entries, by Che's approximation.

    An image is in the cache if it was asked for within the characteristic time T, in which as many different images
    are asked for as the cache holds: the sum of 1 - exp(-share * T) over all images is `entries`. (H. Che, Y. Tung and
    Z. Wang, "Hierarchical Web Caching Systems: Modeling, Design and Experimental Results", IEEE JSAC 20 (7), 2002; why
    it is so close: C. Fricker, P. Robert and J. Roberts, ITC 24, 2012.)
    """
    if entries >= len(popularity):
        return 1.0
    low, high = 0.0, 1.0
    while _within(popularity, high).sum() < entries:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(popularity, middle).sum() < entries else (low, middle)
    return float(popularity @ _within(popularity, high))


def _within(popularity: Shares, time: float) -> Shares:
    """The probability of each image to be asked for within so many requests."""
    within: Shares = -np.expm1(-popularity * time)
    return within
