"""Disks that are really full: one line says so, and old files stay whole."""

import shutil
import subprocess

import numpy as np
import pytest
from cli_run import files_in, loan_lines, refused, run, write_lines
from mixed_tables import make_mixed

from onelayer import train
from onelayer.errors import InputError
from onelayer.table import survey

ROWS = 30_000
SIZE = 6 << 20


@pytest.fixture
def disk(tmp_path):
    """A small disk of memory of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no small disk can be mounted here: that takes Linux and root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder, keep: int = 0) -> None:
    """Leave `keep` bytes on the disk."""
    with (folder / "filler").open("wb", buffering=0) as stream:
        while room := shutil.disk_usage(folder).free:
            stream.write(bytes(room))
        with pytest.raises(OSError, match="No space left"):
            stream.write(b"x")
        stream.truncate(stream.tell() - keep)


@pytest.mark.parametrize("stage", ["surveying", "encoding"])
def test_a_training_whose_cache_finds_no_room(tmp_path, disk, monkeypatch, stage):
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 4_000)
    monkeypatch.setattr(survey, "LEAST_ROWS", 1_000)
    make_mixed(ROWS).write_parquet(tmp_path / "loans.parquet", row_group_size=3_000)

    def tell(now):
        if now.doing == stage and not (disk / "filler").exists():
            fill(disk, keep=100_000)

    options = {"target": "granted", "memory": "150MB", "cache": disk / "cache"}
    said = "MB are free" if stage == "surveying" else "the disk is full: free some space"
    with pytest.raises(InputError, match=said) as caught:
        train(tmp_path / "loans.parquet", tell=tell, **options)
    assert "\n" not in str(caught.value)
    assert files_in(disk) == {"filler"}
    (disk / "filler").unlink()
    assert np.isfinite(train(tmp_path / "loans.parquet", **options).W).all()
    assert files_in(disk) == set()


def test_a_model_file_that_finds_no_room(tmp_path, disk):
    loans = write_lines(tmp_path / "loans.csv", loan_lines())
    model = disk / "model.json"
    assert run("train", loans, "--target", "granted", "-o", model).exit_code == 0
    old = model.read_bytes()
    fill(disk, keep=1_000)
    said = refused(run("train", loans, "--target", "granted", "--C", "2", "-o", model))
    assert "model.json" in said
    assert "no space left" in said.lower()
    assert model.read_bytes() == old
    assert files_in(disk) == {"model.json", "filler"}


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_scores_that_find_no_room(tmp_path, disk, name):
    loans = write_lines(tmp_path / "loans.csv", loan_lines(3_000))
    model = tmp_path / "model.json"
    assert run("train", loans, "--target", "granted", "-o", model).exit_code == 0
    (disk / name).write_bytes(b"the old scores")
    fill(disk, keep=4_000)
    said = refused(run("predict", model, loans, "--memory", "150MB", "-o", disk / name))
    assert name in said
    assert (disk / name).read_bytes() == b"the old scores"
    assert files_in(disk) == {name, "filler"}
