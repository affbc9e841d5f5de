"""Free text to the words it holds, and to a sparse matrix of their presence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import scipy.sparse as sp

from onelayer.table.levels import written
from onelayer.table.values import missing_words

TOKEN = r"\w\w+"
"""Two or more letters, digits or underscores of any script; the text is in lower case."""


def split_words(texts: pl.Series) -> pl.DataFrame:
    """Return the different words of each text as columns `row` and `word`."""
    found = pl.col("text").str.to_lowercase().str.extract_all(TOKEN).list.unique()
    return (
        pl.DataFrame({"text": texts.cast(pl.String)})
        .with_row_index("row")
        .select("row", found.alias("word"))
        .explode("word")
        .drop_nulls()
    )


def find_words(texts: pl.Series, words: Sequence[str]) -> sp.csr_array:
    """Return a (rows, words) matrix that is 1 where the text holds the word, else 0."""
    shape = (len(texts), len(words))
    code = pl.col("word").cast(pl.Enum(list(words)), strict=False).to_physical().cast(pl.Int32)
    held = split_words(texts).select("row", code.alias("code")).drop_nulls().sort("row", "code")
    counts = np.bincount(held["row"].to_numpy(), minlength=len(texts))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    codes = held["code"].to_numpy()
    return sp.csr_array((np.ones(codes.size), codes, starts), shape=shape)


def read_texts(raw: pl.Series, na: Sequence[str]) -> pl.Series:
    """Return a column as text; null where missing."""
    texts = raw.alias("value").to_frame().select(written("value", raw.dtype))["value"]
    return texts.set(texts.str.strip_chars().is_in(missing_words(na)).fill_null(True), None)
