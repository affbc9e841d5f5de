"""What a fit takes over its input, measured in a fresh process by the system's own high water mark.

A tall table of 54 columns is made and fitted; the bytes that the process reached during the fit
above what it held before are printed beside the table's own.
"""

import json
from pathlib import Path

import numpy as np
from scipy import sparse

COLUMNS = 54


def high_water(reset: bool = False) -> int:
    """The most memory the process has held since the last reset, bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def make_table(layout: str, size: float, classes: int = 2):
    """A table of `size` MiB, ten numbers and 44 dummies as of a survey; its labels; its bytes."""
    rng = np.random.default_rng(0)
    width = 4 if layout == "float32" else 8
    each = 11 * (8 + 4) + 4 if layout == "csr" else COLUMNS * width
    n = int(size * 2**20 / each)
    codes = rng.integers(0, COLUMNS - 10, n)
    push = rng.standard_normal((classes, COLUMNS - 10))
    y = np.zeros(n, dtype=np.int64)
    for start in range(0, n, 1 << 16):
        some = codes[start : start + (1 << 16)]
        y[start : start + (1 << 16)] = (
            push[:, some] + rng.gumbel(size=(classes, len(some)))
        ).argmax(0)
    X = _make_sparse(rng, codes) if layout == "csr" else _make_dense(rng, codes, layout, width)
    parts = (X.data, X.indices, X.indptr) if layout == "csr" else (X,)
    return X, y, sum(part.nbytes for part in parts)


def _make_dense(rng, codes, layout, width):
    order = "F" if layout == "fortran" else "C"
    X = np.zeros((len(codes), COLUMNS), np.dtype(f"f{width}"), order=order)
    for j in range(10):
        X[:, j] = rng.standard_normal(len(codes)) * 10.0 ** (j % 4)
    X[np.arange(len(codes)), codes + 10] = 1
    return X


def _make_sparse(rng, codes):
    n = len(codes)
    places, data = np.empty((n, 11), np.int32), np.empty((n, 11))
    places[:, :10], places[:, 10] = np.arange(10), codes + 10
    data[:, :10], data[:, 10] = rng.standard_normal((n, 10)), 1
    edges = np.arange(n + 1, dtype=np.int32) * np.int32(11)
    return sparse.csr_array((data.ravel(), places.ravel(), edges), shape=(n, COLUMNS))


def main(layout: str, size: float, options: dict) -> None:
    """Print the table's bytes, those that the fit reached beside it, status and certificate."""
    from onelayer import OneLayerClassifier

    classes = options.pop("classes", 2)
    few, labels, _ = make_table(layout, 8, classes)  # what is loaded once is not the fit's
    OneLayerClassifier(**options).fit(few, labels)
    X, y, held = make_table(layout, size, classes)
    before = high_water(reset=True)
    solution = OneLayerClassifier(**options).fit(X, y).solution_
    over = high_water() - before
    print(json.dumps([held, over, solution.status, solution.certificate.kind]))
