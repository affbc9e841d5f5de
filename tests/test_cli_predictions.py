"""Files of predictions: bits, names, and text that a spreadsheet would run."""

import csv
import io
import warnings

import numpy as np
import polars as pl
import pytest

from onelayer.errors import DataWarning, InputError
from onelayer.table.reading import read_table
from onelayer.table.tabulating import tabulate_predictions
from onelayer.table.writing import check_suffix, write_predictions


def written(path, columns):
    write_predictions(str(path), columns)
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_floats_read_back_to_the_same_bits(tmp_path):
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [rng.random(5000), 10.0 ** rng.uniform(-300, 0, 5000), [0.0, 1.0, 5e-324]]
    )
    rows = written(tmp_path / "out.csv", {"probability": values})
    assert [float(row[0]) for row in rows[1:]] == values.tolist()


def test_text_with_delimiters_quotes_and_line_ends_comes_back(tmp_path):
    texts = ["a,b", 'say "no"', "two\nlines", "é", "", " blank "]
    assert [row[0] for row in written(tmp_path / "out.csv", {"id": texts})[1:]] == texts


def test_formulas_are_disarmed_in_csv_and_whole_in_parquet(tmp_path):
    texts = [
        "=1+1",
        "+cmd|x",
        "-2+3+cmd",
        "@SUM(A1)",
        "\tx",
        "-5",
        "- 50000.",
        "+1.5e3",
        "-",
        "+",
        "a=b",
        "x",
    ]
    with pytest.warns(DataWarning, match="5 cells"):
        rows = written(tmp_path / "out.csv", {"id": texts})
    assert [row[0] for row in rows[1:]] == [f"'{text}" for text in texts[:5]] + texts[5:]
    write_predictions(str(tmp_path / "out.parquet"), {"id": texts})
    assert pl.read_parquet(tmp_path / "out.parquet")["id"].to_list() == texts


def test_missing_identifiers_stay_missing(tmp_path):
    rows = written(tmp_path / "out.csv", {"id": ["a", None], "probability": [0.5, 0.5]})
    assert rows[2] == ["", "0.5"]


def test_columns_are_row_identifiers_probability_prediction():
    table = read_table({"row": ["a", "b"], "id": [2**60 + 1, 7], "x": [1, 2]})
    columns = tabulate_predictions(
        table, ["row", "id", "gone"], np.array([0.1, 0.9]), ["no", "yes"]
    )
    assert list(columns) == ["row", "row_", "id", "probability", "prediction"]
    assert columns["row"].to_list() == [1, 2]
    assert columns["row_"].to_list() == ["a", "b"]
    assert columns["id"].to_list() == [2**60 + 1, 7]


def test_an_identifier_with_our_underscored_name_is_kept_too():
    table = read_table({"row": ["a"], "row_": ["b"]})
    columns = tabulate_predictions(table, ["row", "row_"], [0.1], ["no"])
    assert {name: values[0] for name, values in columns.items()} == {
        "row": 1,
        "row__": "a",
        "row_": "b",
        "probability": 0.1,
        "prediction": "no",
    }


@pytest.mark.parametrize("name", ["out.xlsx", "out.csv.gz", "out.json"])
def test_other_kinds_of_file_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="end the name in"):
        check_suffix(name)
    with pytest.raises(InputError, match="end the name in"):
        write_predictions(str(tmp_path / name), {"row": [1]})
    assert list(tmp_path.iterdir()) == []


def test_standard_output_gets_csv(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", stream)
    write_predictions("-", {"row": [1], "prediction": ["é"]})
    assert stream.buffer.getvalue().decode() == "row,prediction\n1,é\n"


def test_large_files_are_written_whole(tmp_path):
    values = np.arange(300_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_predictions(str(tmp_path / "out.tsv"), {"row": values, "again": values})
    assert (tmp_path / "out.tsv").read_text().splitlines()[-1] == "299999\t299999"
