"""Partitions for tests on a cluster: values that workers load, some of which go wrong."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onelayer.blocks import Block
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures


@dataclass(frozen=True)
class Drawn:
    """Rows drawn at random by the partition's number; the same ones at every load."""

    number: int
    rows: int = 2000
    columns: int = 5
    classes: int = 2
    wait: float = 0.0
    codes: bool = False

    def __str__(self) -> str:
        return f"drawn {self.number}"

    def load(self) -> Block:
        time.sleep(self.wait)
        rng = np.random.default_rng(self.number)
        X = rng.normal(size=(self.rows, self.columns)) * np.arange(1, self.columns + 1) + 3
        truth = np.random.default_rng(99).normal(size=(self.classes, self.columns)) / 5
        y = (truth @ X.T + rng.gumbel(size=(self.classes, self.rows))).argmax(axis=0)
        features = DenseFeatures(X)
        if self.codes:
            codes = rng.integers(0, 3, size=(self.rows, 2)).astype(np.int32)
            features = MixedFeatures(X, codes, (3, 3))
        return Block(features, y.astype(np.int8)[None], np.broadcast_to(1.0, self.rows))


@dataclass(frozen=True)
class Deadly:
    """Kills whoever loads it."""

    path: str = "deadly.parquet"

    def __str__(self) -> str:
        return self.path

    def load(self) -> Block:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True)
class Stored:
    """A file of NumPy's."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def load(self) -> Block:
        X = np.load(self.path)
        return Block(DenseFeatures(X), (X[:, 0] > 0)[None].astype(np.int8), np.ones(len(X)))
