"""Scores of rows by fits that had not seen them: what a threshold may be chosen on."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.scoring import predict_logits

Array = NDArray[Any]
Fit = Callable[[Block], tuple[Array, Array]]  # rows -> W (1, n_x) and b (1, 1)

FOLDS = 5
MOST_ROWS = 200_000
"""Of more rows so many are drawn: a share of them is then known to a fifth of a percent."""

_SEED = 0x7E57


def score_left_out(block: Block, fit: Fit) -> tuple[Array, int]:
    """Logits (n,) of the rows, each by a fit on the other folds, and how many folds there were.

    Each class is dealt out evenly at random, so that every fold holds both where it can.

    Args:
        block: Rows with one output, of labels 0 and 1.
        fit: Rows to parameters; it is called once a fold.
    """
    folds, count = _deal(block.labels[0])
    logits = np.empty(block.n_rows)
    for fold in range(count):
        left = np.flatnonzero(folds == fold)
        W, b = fit(block.take(np.flatnonzero(folds != fold)))
        logits[left] = predict_logits(block.features.take(left), W, b)[0]
    return logits, count


def _deal(labels: Array) -> tuple[NDArray[np.intp], int]:
    """The fold of each row, and how many folds there are."""
    fewest = int(min(np.sum(labels == 0), np.sum(labels == 1)))
    count = max(2, min(FOLDS, fewest))
    shuffled = np.random.default_rng(_SEED).permutation(len(labels))
    folds = np.empty(len(labels), dtype=np.intp)
    for label in (0, 1):
        rows = shuffled[labels[shuffled] == label]
        folds[rows] = np.arange(len(rows)) % count
    return folds, count


def can_cross(block: Block) -> bool:
    """Whether each class has rows enough for every fit to see it."""
    positives = int(np.sum(block.labels[0] == 1))
    return 2 <= positives <= block.n_rows - 2
