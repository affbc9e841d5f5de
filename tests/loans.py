"""A small made-up table of loan applications with a column of every kind."""

from pathlib import Path

import numpy as np
import polars as pl

CITIES = ("Aachen", "Bonn", "Celle", "Dresden")
WORDS = ("car", "house", "roof", "garden", "school", "boat", "debt", "wedding")


def draw_loans(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """Typed columns: the target `approve`, and what may and what must not tell about it."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 80, rows)
    income = np.round(np.exp(random.normal(8, 1.5, rows)), 2)
    city = random.choice(CITIES, rows, p=[0.4, 0.3, 0.2, 0.1])
    employed = random.random(rows) < 0.7
    note = [" ".join(random.choice(WORDS, 4)) for _ in range(rows)]
    logit = 0.04 * (age - 45) + 0.5 * (np.log(income) - 8) + 1.2 * employed - 0.9
    logit += (city == "Bonn") - 1.5 * np.array(["debt" in words for words in note])
    approve = random.random(rows) < 1 / (1 + np.exp(-logit))

    def holes(values: object, share: float) -> pl.Series:
        series = pl.Series(values)
        return series.set(pl.Series(random.random(rows) < share), None)

    start = np.datetime64("2020-01-01")
    return pl.DataFrame(
        {
            "id": np.arange(rows) + 1000,
            "age": age,
            "income": holes(income, 0.1),
            "city": holes(city.tolist(), 0.05),
            "employed": holes(employed, 0.05),
            "since": start + random.integers(0, 700, rows).astype("timedelta64[D]"),
            "note": note,
            "branch": ["north"] * rows,
            "sex": random.choice(["f", "m"], rows).tolist(),
            "verdict": np.where(approve, "A", "R").tolist(),
            "approve": np.where(approve, "yes", "no").tolist(),
        }
    )


def write_loans(frame: pl.DataFrame, path: Path) -> Path:
    """The same table as a CSV file."""
    frame.write_csv(path)
    return path
