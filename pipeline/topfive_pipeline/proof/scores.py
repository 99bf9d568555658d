"""A network's scores as probabilities, in NumPy: what the tail of the written graph must put out.

It is written apart from `graphs.tail`, for it judges that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def probabilities(scores: NDArray[Any], *, kind: str) -> NDArray[np.float64]:
    """From scores [N, k] (or [N, k, 1, 1]) to probabilities FP64 [N, k].

    `kind`: `softmax`, `sigmoid`, `exp` (scores are logarithms), or `as-is`. One column stands for the second of two
    classes, so the answer has two columns then.
    """
    flat = np.asarray(scores, np.float64).reshape(len(scores), -1)
    match kind:
        case "softmax":
            powers = np.exp(flat - flat.max(axis=1, keepdims=True))
            flat = powers / powers.sum(axis=1, keepdims=True)
        case "sigmoid":
            flat = 1 / (1 + np.exp(-flat))
        case "exp":
            flat = np.exp(flat)
        case "as-is":
            pass
        case _:
            raise ValueError(f"there is no kind of scores {kind!r}")
    return np.hstack([1 - flat, flat]) if flat.shape[1] == 1 else flat
