"""Model files: the same bits after a round trip, one clear error for everything else."""

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import onelayer
from onelayer import model_file, strict_json
from onelayer.errors import InputError, ModelFileError
from onelayer.model_file import (
    OPTIONAL_SECTIONS,
    SECTIONS,
    encode_model_file,
    name_file_in_errors,
    read_model_file,
    write_model_file,
)
from onelayer.stored import from_stored
from onelayer.strict_json import parse_json

CONTENT: dict[str, Any] = {
    "onelayer": "0.1.0",
    "training": {"rows": 1989, "C": 1.0, "target": "approve", "sha256": None},
    "threshold": 0.5,
    "protected": ["race", "sex"],
    "parameters": {"W": [[0.1, -2.5e-308, 1e300]], "b": [[-0.0]], "features": ["é", "☃", '"\\']},
}


def read_bytes(encoded: bytes) -> dict[str, Any]:
    return read_model_file(io.BytesIO(encoded))


def error_of(encoded: bytes) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_bytes(encoded)
    message = str(caught.value)
    assert message.startswith("model file: ")
    assert message.isprintable()
    assert len(message) < 300
    return message


def sign(body: str | bytes) -> bytes:
    """A file that bears a good checksum, whatever stands in it."""
    body = body.encode() if isinstance(body, str) else body
    return body + f'  "sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()


def sign_lines(*lines: str) -> bytes:
    start = ['"format": "onelayer model"', '"format_version": 1', '"onelayer": "0.1.0"']
    return sign("{\n" + "".join(f"  {line},\n" for line in [*start, *lines]))


# There and back


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    write_model_file(path, CONTENT)
    assert read_model_file(path) == read_model_file(str(path)) == CONTENT
    with open(path, "rb") as stream:
        assert read_model_file(stream) == CONTENT
    assert os.listdir(tmp_path) == ["model.json"]


def test_the_same_content_gives_the_same_bytes() -> None:
    encoded = encode_model_file(CONTENT)
    assert encode_model_file(dict(reversed(CONTENT.items()))) == encoded
    assert encode_model_file(read_bytes(encoded)) == encoded


def test_the_file_is_plain_json_for_any_other_reader() -> None:
    content = json.loads(encode_model_file(CONTENT))
    assert content.pop("format") == "onelayer model"
    assert content.pop("format_version") == 1
    assert len(content.pop("sha256")) == 64
    assert content == CONTENT


def test_the_sections_stand_in_a_fixed_order() -> None:
    content = {"later": 1, **dict.fromkeys(reversed(SECTIONS), 0), "onelayer": "0.1.0"}
    keys = list(json.loads(encode_model_file(content)))
    assert keys == ["format", "format_version", *SECTIONS, "later", "sha256"]


def test_the_version_is_added_once() -> None:
    assert read_bytes(encode_model_file({}))["onelayer"] == onelayer.__version__
    assert read_bytes(encode_model_file({"onelayer": "0.0.1"}))["onelayer"] == "0.0.1"


def test_the_checksum_is_that_of_the_lines_above(tmp_path: Path) -> None:
    lines = encode_model_file(CONTENT).splitlines(keepends=True)
    digest = hashlib.sha256(b"".join(lines[:-2])).hexdigest()
    assert lines[-2:] == [f'  "sha256": "{digest}"\n'.encode(), b"}\n"]


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
@example(5e-324)
@example(-0.0)
@example(1.7976931348623157e308)
@example(2.0**53 + 2)
def test_every_float_survives_to_the_bit(number: float) -> None:
    (back,) = read_bytes(encode_model_file({"x": [number]}))["x"]
    assert struct.pack("d", back) == struct.pack("d", number)


words = st.text('aé☃😀 "\\\n\x00[{,\u2028', max_size=10)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner) | st.dictionaries(words, inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["schema", "parameters", "more"]), json_values))
def test_all_content_survives(content: dict[str, Any]) -> None:
    back = read_bytes(encode_model_file(content))
    del back["onelayer"]
    assert back == content
    assert repr(sorted(back.items())) == repr(sorted(content.items()))


def test_it_reads_well() -> None:
    content = {
        "onelayer": "0.1.0",
        "schema": {"columns": [{"name": "age", "kind": "numeric"}] * 2, "na": []},
        "parameters": {"W": [[-0.1234567890123456] * 8], "b": [[-1.5]]},
    }
    text = encode_model_file(content).decode()
    assert text.startswith(
        """{
  "format": "onelayer model",
  "format_version": 1,
  "onelayer": "0.1.0",
  "schema": {
    "columns": [{"name": "age", "kind": "numeric"}, {"name": "age", "kind": "numeric"}],
    "na": []
  },
  "parameters": {
    "W": [
      [
        -0.1234567890123456, -0.1234567890123456, -0.1234567890123456, -0.1234567890123456,
        -0.1234567890123456, -0.1234567890123456, -0.1234567890123456, -0.1234567890123456
      ]
    ],
    "b": [[-1.5]]
  },
"""
    )
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_no_nan_is_written(tmp_path: Path, number: float) -> None:
    with pytest.raises(ModelFileError, match=r"model\.json: parameters\.b\[0\]\[0\]: -?(nan|inf)"):
        write_model_file(tmp_path / "model.json", {"parameters": {"b": [[number]]}})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("value", [np.zeros(2), np.int64(1), {1, 2}, b"bytes", {1: 2}, object()])
def test_other_types_are_not_written(value: object) -> None:
    with pytest.raises(TypeError, match=r"^facts"):
        encode_model_file({"facts": value})


def test_half_a_character_is_not_written() -> None:
    with pytest.raises(ModelFileError, match=r"^'\\udce9' is half a character"):
        encode_model_file({"protected": ["caf\udce9"]})


def test_nothing_is_written_that_would_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(ModelFileError, match="nested more than 32 deep"):
        encode_model_file({"facts": deep})
    monkeypatch.setattr(model_file, "MAX_BYTES", 2**20)
    with pytest.raises(ModelFileError, match="at most 1 MB"):
        encode_model_file({"facts": "x" * 2**20})


@pytest.mark.parametrize("key", ["format", "format_version", "sha256"])
def test_the_envelope_is_not_for_the_caller(key: str) -> None:
    with pytest.raises(ValueError, match="written by onelayer itself"):
        encode_model_file({key: "x"})


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        write_model_file(tmp_path / "nowhere" / "model.json", CONTENT)


# Damage


def test_every_flipped_bit_is_noticed() -> None:
    encoded = encode_model_file(CONTENT)
    for place in range(len(encoded)):
        for bit in range(8):
            altered = bytearray(encoded)
            altered[place] ^= 1 << bit
            error_of(bytes(altered))


def test_every_cut_is_noticed() -> None:
    encoded = encode_model_file(CONTENT)
    messages = [error_of(encoded[:length]) for length in range(len(encoded))]
    assert "it is empty" in messages[0]
    assert sum("is cut short: copy it again" in message for message in messages) > 0.95 * len(
        encoded
    )


def test_every_lost_or_doubled_byte_is_noticed() -> None:
    encoded = encode_model_file(CONTENT)
    for place in range(len(encoded)):
        error_of(encoded[:place] + encoded[place + 1 :])
        error_of(encoded[: place + 1] + encoded[place:])


def test_an_edit_by_hand_is_noticed() -> None:
    encoded = encode_model_file(CONTENT)
    assert "altered" in error_of(encoded.replace(b'"threshold": 0.5', b'"threshold": 0.6'))
    assert "altered" in error_of(encoded + b"\n")
    assert "line ends were changed" in error_of(encoded.replace(b"\n", b"\r\n"))
    assert "altered" in error_of(json.dumps(json.loads(encoded)).encode())


def test_a_newer_version() -> None:
    newer = sign('{\n  "format": "onelayer model",\n  "format_version": 2,\n  "other": {},\n')
    assert "written by a newer onelayer (format version 2" in error_of(newer)
    assert "upgrade onelayer" in error_of(newer)
    assert "newer" in error_of(newer[:60])


@pytest.mark.parametrize("version", ["0", "1.0", "1e0", "10e-1"])
def test_a_version_that_never_was(version: str) -> None:
    start = f'{{\n  "format": "onelayer model",\n  "format_version": {version},\n'
    assert "format" in error_of(sign(start + '  "onelayer": "0.1.0",\n'))


# Not a model file at all


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    ("junk", "kind"),
    [
        (b"", "it is empty"),
        (b"id,age\n1,30\n", "text, perhaps a table"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "a picture"),
        (pickle.dumps(Bomb()), "a Python pickle, which onelayer never loads"),
        (gzip.compress(b"{}", mtime=0), "a gzip file: unpack it first"),
        (b"PAR1" + bytes(99), "a Parquet table"),
        (b'{"format": "other"}', "JSON of another kind"),
        (b"[1, 2]", "JSON of another kind"),
        ('{"format": "onelayer model"}'.encode("utf-16"), "UTF-16 text"),
        (bytes(99), "bytes that are no text"),
        (b"\x00\xff" * 99, "bytes that are no text"),
    ],
)
def test_other_files_are_named(junk: bytes, kind: str) -> None:
    message = error_of(junk)
    assert "this is no onelayer model file (" in message
    assert kind in message
    assert message.endswith("give the file that `onelayer train` wrote")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_junk_gives_one_error(junk: bytes) -> None:
    error_of(junk)
    error_of(b'{\n  "format": "onelayer model",\n  "format_version": 1,\n' + junk)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_junk_under_a_good_checksum_gives_one_error(junk: bytes) -> None:
    error_of(sign(b'{\n  "format": "onelayer model",\n  "format_version": 1,\n  "x": ' + junk))


@pytest.mark.parametrize("start", [b"", encode_model_file(CONTENT)])
def test_two_gigabytes_of_junk_are_refused_at_once(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "junk.json"
    with open(path, "wb") as stream:
        stream.write(start)
        stream.truncate(2 * 2**30)
    began = time.perf_counter()
    with pytest.raises(ModelFileError, match=r"junk\.json: (this is no|over 2047 MB)"):
        read_model_file(path)
    assert time.perf_counter() - began < 0.5


class Endless(io.RawIOBase):
    def __init__(self, start: bytes) -> None:
        self.start = start
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "an endless stream may not be read to its end"
        chunk, self.start = self.start[:size], self.start[size:]
        self.given += size
        return chunk + bytes(size - len(chunk))


def test_an_endless_stream_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "MAX_BYTES", 2**20)
    stream: Any = Endless(encode_model_file(CONTENT))
    with pytest.raises(ModelFileError, match="a model file has at most 1 MB"):
        read_model_file(stream)
    assert stream.given <= 2**20 + 1


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.json: there is no such file; check"):
        read_model_file(tmp_path / "none.json")
    with pytest.raises(ModelFileError, match="it cannot be read: is a directory"):
        read_model_file(tmp_path)
    with pytest.raises(ModelFileError, match="this is no file name"):
        read_model_file("a\0b")
    with pytest.raises(ModelFileError, match=r"'two\\nlines': there is no such file"):
        read_model_file("two\nlines")


STANDARD_INPUT = "import sys, onelayer.model_file as m; m.read_model_file(sys.stdin.buffer)"


def test_standard_input_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STANDARD_INPUT], input=b"x", capture_output=True, timeout=30
    )
    assert b"ModelFileError: standard input: this is no onelayer model file" in done.stderr


# Strictness, under a good checksum


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('"x": NaN', "NaN is no number"),
        ('"x": [Infinity]', "Infinity is no number"),
        ('"x": -Infinity', "-Infinity is no number"),
        ('"x": 1e400', "1e400 is too large"),
        ('"x": -1e400', "-1e400 is too large"),
        (f'"x": {"9" * 5000}', "no strict JSON"),
        ('"x": 1, "x": 1', "the key 'x' stands twice"),
        ('"x": {"a\\n": 1, "a\\n": 2}', r"the key 'a\\n' stands twice"),
        ('"x": 1, "\\u0078": 1', "the key 'x' stands twice"),
        ('"format": "onelayer model"', "the key 'format' stands twice"),
        ('"sha256": "x"', "the key 'sha256' stands twice"),
        ('"x": "\\ud83d"', r"'\\ud83d' is half a character"),
        ('"\\uDE00": 1', r"'\\ude00' is half a character"),
        ('"x": ' + "[" * 100_000 + "]" * 100_000, "nested more than 32 deep"),
        ('"x": ' + '{"a":' * 100_000, "nested more than 32 deep"),
        ('"x": [1,]', "no strict JSON"),
        ('"x": 01', "no strict JSON"),
        ("'x': 1", "no strict JSON"),
        ('"x": "\t"', "no strict JSON"),
        ('"x": 1}  {"y": 1', "no strict JSON"),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(line: str, reason: str) -> None:
    assert reason.replace("\\\\", "\\") in error_of(sign_lines(line))


def test_a_whole_pair_of_surrogates_is_one_character() -> None:
    assert read_bytes(sign_lines('"x": "\\ud83d\\ude00"'))["x"] == "😀"


def test_what_is_no_utf8() -> None:
    line = '"x": "café"'.encode("latin-1").decode("latin-1")
    body = sign_lines(line).rsplit(b"  ", 1)[0].replace("é".encode(), b"\xe9")
    assert "is no UTF-8" in error_of(sign(body))


def test_too_many_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "MAX_CONTAINERS", 1000)
    read_bytes(sign_lines('"x": [' + "[], " * 990 + "[]]"))
    assert "more than 1,000 lists" in error_of(sign_lines('"x": [' + "[], " * 1000 + "[]]"))


def test_brackets_in_text_are_no_lists() -> None:
    text = '[{"\\' * 10_000
    assert read_bytes(encode_model_file({"x": text}))["x"] == text


@pytest.mark.parametrize("junk", ['"' * 10**6, '\\"' * 10**6, '"\\' * 10**6, '{"a":1,' * 10**5])
def test_crafted_junk_takes_no_longer_than_its_size(junk: str) -> None:
    began = time.perf_counter()
    error_of(sign_lines(junk))
    assert time.perf_counter() - began < 2


def test_many_doubled_keys_are_found_in_one_pass() -> None:
    keys = ", ".join(f'"k{i}": 0' for i in range(100_000))
    began = time.perf_counter()
    assert "twice" in error_of(sign_lines(f'"x": {{{keys}, "k99999": 0}}'))
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("text", ["[]", "1", "null", '"x"'])
def test_a_file_is_one_section(text: str) -> None:
    with pytest.raises(ModelFileError, match="expected one section"):
        parse_json(text.encode())


def test_a_section_is_missing() -> None:
    start = '{\n  "format": "onelayer model",\n  "format_version": 1,\n'
    assert "onelayer: None stands where text was expected" in error_of(sign(start))


LOADING = """
import sys
from onelayer.model_file import read_model_file
read_model_file(sys.argv[1])
print(sorted(m for m in ("sklearn", "scipy", "polars", "pandas", "pickle") if m in sys.modules))
"""


def test_loading_takes_nothing_but_numpy(tmp_path: Path) -> None:
    write_model_file(tmp_path / "model.json", CONTENT)
    command = [sys.executable, "-c", LOADING, str(tmp_path / "model.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout in ("[]\n", "['pickle']\n")  # NumPy itself imports pickle


def test_the_file_is_named_once() -> None:
    with (
        pytest.raises(ModelFileError, match=r"^model\.json: b: 'x' stands where"),
        name_file_in_errors("model.json"),
        name_file_in_errors("model.json"),
    ):
        from_stored(float, "x", "b")


# The documents

DOCS = Path(__file__).parent.parent / "docs"


def test_the_schema_and_the_page_know_every_section() -> None:
    schema = json.loads((DOCS / "model.schema.json").read_text(encoding="utf-8"))
    keys = ["format", "format_version", *SECTIONS, *OPTIONAL_SECTIONS, "sha256"]
    assert [key for key in schema["properties"] if key in keys] == keys
    page = (DOCS / "model-file.md").read_text(encoding="utf-8")
    assert [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")] == keys


def test_the_page_states_the_limits() -> None:
    page = (DOCS / "model-file.md").read_text(encoding="utf-8")
    assert f"{model_file.MAX_BYTES >> 20} MB" in page
    assert f"{strict_json.MAX_DEPTH} lists" in page
    assert f"{strict_json.MAX_CONTAINERS:,} of them" in page
