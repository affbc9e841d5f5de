"""A task's numbers as every solver gets them, and the objective that judges what comes back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import logsumexp

Array = NDArray[Any]

ROWS_AT_ONCE = 1 << 14  # judged in pieces, so that judging needs no memory to speak of


@dataclass(frozen=True)
class Codes:
    """The same rows with their categories as integer codes: what stands before one-hot encoding."""

    numeric: Array
    codes: NDArray[np.int32]
    level_counts: tuple[int, ...]

    def one_hot(self) -> sparse.csr_array:
        """The numeric columns, then a column of 0 and 1 for each level."""
        n, numbers = self.numeric.shape
        first = numbers + np.cumsum([0, *self.level_counts])
        places = np.hstack([np.tile(np.arange(numbers), (n, 1)), self.codes + first[:-1]])
        values = np.hstack([self.numeric, np.ones(self.codes.shape)])
        borders = np.arange(n + 1) * places.shape[1]
        table = sparse.csr_array(
            (values.ravel(), places.ravel(), borders), shape=(n, int(first[-1]))
        )
        table.eliminate_zeros()
        return table


@dataclass(frozen=True)
class Problem:
    """Rows, class numbers and a penalty.

    sum_i loss_i + (1 / C) ((1 - l1_ratio) |W|^2 / 2 + l1_ratio |W|_1) is to be minimised for each
    C of `strengths`; more than one is a path. `whole` has the clock start at the caller's arrays,
    before a library's own layout is made of them.
    """

    X: Any
    y: NDArray[np.int64]
    strengths: tuple[float, ...] = (1.0,)
    l1_ratio: float = 0.0
    codes: Codes | None = None
    whole: bool = False

    @property
    def classes(self) -> int:
        return int(self.y.max()) + 1

    def save(self, folder: Path) -> None:
        """Write it where the children read it."""
        if sparse.issparse(self.X):
            # Indices of 32 bits are all that some of the libraries read.
            self.X.indices = self.X.indices.astype(np.int32, copy=False)
            self.X.indptr = self.X.indptr.astype(np.int32, copy=False)
            sparse.save_npz(folder / "X.npz", self.X, compressed=False)
        else:
            np.save(folder / "X.npy", self.X)
        np.save(folder / "y.npy", self.y)
        if self.codes is not None:
            np.save(folder / "numeric.npy", self.codes.numeric)
            np.save(folder / "codes.npy", self.codes.codes)
        counts = self.codes and self.codes.level_counts
        (folder / "penalty.json").write_text(
            json.dumps([self.strengths, self.l1_ratio, counts, self.whole]), encoding="utf-8"
        )

    @classmethod
    def load(cls, folder: Path) -> "Problem":
        stated = json.loads((folder / "penalty.json").read_text(encoding="utf-8"))
        strengths, l1_ratio, counts, whole = stated
        dense = folder / "X.npy"
        X = np.load(dense) if dense.exists() else sparse.load_npz(folder / "X.npz")
        codes = None
        if counts is not None:
            parts = np.load(folder / "numeric.npy"), np.load(folder / "codes.npy")
            codes = Codes(*parts, tuple(counts))
        return cls(X, np.load(folder / "y.npy"), tuple(strengths), l1_ratio, codes, whole)

    def sample(self, rows: int, columns: int) -> "Problem":
        """A few rows and columns of it, of the same kind, for a first call that nobody times."""
        n, p = self.X.shape
        few = np.unique(
            np.append(
                np.linspace(0, n - 1, min(n, rows)).astype(np.intp),
                np.unique(self.y, return_index=True)[1],
            )
        )
        if self.codes is not None:
            kept = Codes(self.codes.numeric[few], self.codes.codes[few], self.codes.level_counts)
            return Problem(kept.one_hot(), self.y[few], self.strengths, self.l1_ratio, kept)
        X = self.X[few][:, : min(p, columns)].copy()
        return Problem(X, self.y[few], self.strengths[:2], self.l1_ratio)


@dataclass(frozen=True)
class Facts:
    """What must be known of a problem to say which solvers can do it."""

    rows: int
    columns: int
    stored: int  # numbers held: non-zeros of a sparse table
    classes: int
    sparse: bool
    single: bool  # float32
    coded: bool
    path: bool
    l1_ratio: float
    penalised: bool

    @classmethod
    def of(cls, problem: Problem) -> "Facts":
        X, is_sparse = problem.X, sparse.issparse(problem.X)
        return cls(
            rows=X.shape[0],
            columns=X.shape[1],
            stored=int(X.nnz if is_sparse else X.size),
            classes=problem.classes,
            sparse=is_sparse,
            single=X.dtype == np.float32,
            coded=problem.codes is not None,
            path=len(problem.strengths) > 1,
            l1_ratio=problem.l1_ratio,
            penalised=bool(np.isfinite(problem.strengths[0])),
        )


def judge(problem: Problem, fits: list[tuple[Array, Array]], bias: str) -> list[float]:
    """The objective in float64 of one (W, b) for each strength.

    `bias` says which objective was minimised: "free" is ours; "penalised" counts the bias among
    the weights; "none" has no bias.
    """
    values = []
    for (W, b), C in zip(fits, problem.strengths, strict=True):
        W, b = np.atleast_2d(np.asarray(W, np.float64)), np.ravel(np.asarray(b, np.float64))
        under = np.column_stack([W, b]) if bias == "penalised" else W
        r = problem.l1_ratio
        price = (1 - r) * np.square(under).sum() / 2 + r * np.abs(under).sum()
        price = price / C if np.isfinite(C) else 0.0
        values.append(_add_losses(problem, W, b) + float(price))
    return values


def _add_losses(problem: Problem, W: Array, b: Array) -> float:
    total = 0.0
    for start in range(0, len(problem.y), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        X, y = problem.X[rows], problem.y[rows]
        if not sparse.issparse(X):
            X = X.astype(np.float64, copy=False)
        Z = np.asarray(X @ W.T) + b
        if Z.shape[1] == 1:
            margin = Z[:, 0] * (2 * y - 1)
            losses = np.log1p(np.exp(-np.abs(margin))) + np.maximum(-margin, 0)
        else:
            losses = logsumexp(Z, axis=1) - Z[np.arange(len(y)), y]
        total += float(losses.sum())
    return total
