"""What one pass over rows adds up."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class Sums:
    """What one pass adds up: loss, slopes by weights and biases, and more; on raw columns."""

    loss: Array
    weights: Array
    biases: Array
    miss: Array
    least_curvature: Array
    least_margin: Array
    second: Array | None = None
    diagonal: Array | None = None
    bias_curvature: Array | None = None

    def __add__(self, other: "Sums") -> "Sums":
        def into(a: Array | None, b: Array | None) -> Array | None:
            return None if a is None or b is None else np.add(a, b, out=a)

        return Sums(
            self.loss + other.loss,
            self.weights + other.weights,
            self.biases + other.biases,
            self.miss + other.miss,
            np.minimum(self.least_curvature, other.least_curvature),
            np.minimum(self.least_margin, other.least_margin),
            into(self.second, other.second),
            into(self.diagonal, other.diagonal),
            into(self.bias_curvature, other.bias_curvature),
        )

    def times(self, weight: float) -> "Sums":
        """The same under a weight that all rows share, without second derivatives."""
        return Sums(
            weight * self.loss,
            weight * self.weights,
            weight * self.biases,
            weight**2 * self.miss,
            weight * self.least_curvature,
            self.least_margin,
        )
