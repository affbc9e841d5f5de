"""Mixed tables made at random, of any length, whose truth is known."""

import numpy as np
import polars as pl


def make_mixed(n: int, seed: int = 0, cities: int = 60) -> pl.DataFrame:
    """Numbers with tails and gaps, flags, levels, dates, constants; `granted` is yes or no."""
    rng = np.random.default_rng(seed)
    x, region = rng.normal(size=(n, 3)), rng.integers(0, 5, n)
    city = np.minimum(rng.zipf(1.7, n), cities)
    logit = x @ [0.8, -0.5, 0.2] + 0.3 * region - 1 + 0.7 * (city == 2)
    frame = pl.DataFrame(
        {
            "debt": x[:, 0],
            "age": np.round(40 + 10 * x[:, 1]),
            "income": np.exp(2 * x[:, 2]) * 1000,
            "owner": rng.random(n) < 0.3,
            "region": np.array(["north", "east", "south", "west", "far away"])[region],
            "city": np.char.add("c", city.astype(str)),
            "since": np.datetime64("2020-01-01") + rng.integers(0, 900, n).astype("timedelta64[D]"),
            "fixed": np.zeros(n),
            "granted": np.where(logit + rng.logistic(size=n) > 0, "yes", "no"),
        }
    )
    gone = pl.Series(rng.random(n) < 0.02)
    last = pl.Series(np.arange(n) == n - 7)  # missing once, near the end
    return frame.with_columns(
        pl.when(gone).then(None).otherwise(pl.col("age")).alias("age"),
        pl.when(gone).then(None).otherwise(pl.col("region")).alias("region"),
        pl.when(last).then(None).otherwise(pl.col("debt")).alias("debt"),
    )
