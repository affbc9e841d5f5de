"""A table to judge on, of any length: read in batches like that to learn from."""

import pytest
from cli_run import refused, run
from mixed_tables import make_mixed

from onelayer import Model, train
from onelayer.errors import InputError
from onelayer.table import reading

LEARNT, OTHER = make_mixed(3_000, cities=9), make_mixed(5_000, seed=1, cities=9)


@pytest.fixture
def later(tmp_path):
    """A folder of files to judge on."""
    folder = tmp_path / "later"
    folder.mkdir()
    for k in range(5):
        OTHER[1_000 * k :][:1_000].write_parquet(folder / f"{k}.parquet")
    return folder


@pytest.fixture
def loans(tmp_path):
    LEARNT.write_parquet(tmp_path / "loans.parquet")
    return tmp_path / "loans.parquet"


OPTIONS = {"target": "granted", "protected": ["region"]}


@pytest.mark.parametrize("memory", [None, "200MB"])
def test_a_folder_is_judged_as_the_table_in_memory(loans, later, memory):
    whole = train(LEARNT, test=OTHER, **OPTIONS)
    streamed = train(loans, test=later, memory=memory, **OPTIONS)
    assert streamed.evaluation == whole.evaluation
    assert streamed.training.test == str(later)
    assert streamed.training.rows == 3_000


def test_a_test_file_is_not_held_in_memory(loans, tmp_path, monkeypatch):
    """Where the training is not, by memory or by its kind."""
    OTHER.write_csv(tmp_path / "later.csv")
    expected = train(LEARNT, test=OTHER, **OPTIONS).evaluation
    folder = tmp_path / "folder"
    folder.mkdir()
    loans.rename(folder / "loans.parquet")

    def refuse(*_, **__):
        raise AssertionError("read as a whole")

    monkeypatch.setattr(reading, "_read_path", refuse)
    for table, memory in ((folder, None), (folder / "loans.parquet", "200MB")):
        model = train(table, test=tmp_path / "later.csv", memory=memory, **OPTIONS)
        assert model.evaluation.log_loss == pytest.approx(expected.log_loss, rel=1e-12)
        assert model.evaluation.n == expected.n


def test_what_is_wrong_with_it_is_said_before_the_training(loans, later, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("trained before the test table was looked at")

    monkeypatch.setattr("onelayer.training.read_table", fail)
    with pytest.raises(InputError, match="no column 'grant'"):
        train(loans, target="grant", test=later)
    with pytest.raises(InputError, match=r"absent/\*: no file matches"):
        train(loans, target="granted", test="absent/*")


def test_the_command_streams_it_too(loans, later, tmp_path):
    model = tmp_path / "m.json"
    arguments = ["train", loans, "--target", "granted", "-o", model, "--test", later]
    for more in ([], ["--memory", "200MB"], ["--report", tmp_path / "page.html"]):
        result = run(*arguments, *more)
        assert result.exit_code == 0, result.stderr
        assert "On 5,000 rows of" in result.stdout
        assert (
            Model.load(model).evaluation == train(LEARNT, target="granted", test=OTHER).evaluation
        )
    assert (tmp_path / "page.html").exists()
    (later / "0.parquet").write_bytes(b"PAR1, or not")
    assert "0.parquet" in refused(run(*arguments))
