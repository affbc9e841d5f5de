"""As `preload`, with every other library that is installed, and skglm compiled.

numba takes half a minute for that: once, here, and not in each of some hundred processes.
"""

from contextlib import suppress
from importlib import import_module

import numpy as np
from scipy import sparse

from benchmarks.race import (
    peers,
    preload,  # noqa: F401
    sparse_peers,
)
from benchmarks.race.problem import Problem

for _name in ("glum", "celer", "liblinear", "statsmodels.api"):
    with suppress(ImportError):
        import_module(_name)


def _compile_skglm() -> None:
    random = np.random.default_rng(0)
    X, y = random.standard_normal((40, 3)), np.arange(40) % 2
    for table in (X, sparse.csr_array(X), X.astype(np.float32)):
        for fit, ratio in ((peers.fit_skglm, 0.0), (sparse_peers.fit_skglm, 1.0)):
            fit(peers.prepare_skglm(Problem(table, y, l1_ratio=ratio)), {})


with suppress(ImportError):
    import_module("skglm")
    _compile_skglm()
