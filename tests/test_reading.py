"""Text tables: delimiters, quotes, line ends, encodings, malformed lines."""

import csv
import io
import re
import string
import warnings
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelayer.errors import DataWarning, InputError
from onelayer.table import grammar, records
from onelayer.table.reading import LeftOut, Table, read_table


def read(text: str | bytes, **options) -> Table:
    return read_table(io.BytesIO(text if isinstance(text, bytes) else text.encode()), **options)


def lines_of(table: Table) -> list[int | None]:
    return [table.line_of(row) for row in range(table.frame.height)]


# --- what is written is what is read


def test_values_stay_exactly_as_written():
    table = read("id,x,y\n9007199254740993, 1.50 ,NA\n007,,?\n")
    assert table.frame.schema == {"id": pl.String, "x": pl.String, "y": pl.String}
    assert table.frame.rows() == [("9007199254740993", " 1.50 ", "NA"), ("007", "", "?")]
    assert lines_of(table) == [2, 3]
    assert table.left_out == ()


def test_a_word_in_the_last_row_does_not_change_what_was_before():
    table = read("x,y\n" + "1,2\n" * 5000 + "word,2\n")
    assert table.frame["x"].to_list() == ["1"] * 5000 + ["word"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("at_end", [True, False])
def test_every_delimiter_line_end_and_quoting(delimiter, line_end, quoting, at_end):
    rows = [["41", "f", "a, b; c | d\te"], ["29", "m", 'said "yes"'], ["", "", ""], ["7", "f", ""]]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([["age", "sex", "note"], *rows])
    written = text.getvalue() if at_end else text.getvalue()[: -len(line_end)]
    table = read(written)
    assert table.frame.columns == ["age", "sex", "note"]
    assert [list(row) for row in table.frame.rows()] == rows
    assert lines_of(table) == [2, 3, 4, 5]


def test_numbers_with_a_decimal_comma_are_not_cut():
    assert read("a;b;c\n1,5;2,5;3,5\n4,0;5,0;6,0\n").frame.row(0) == ("1,5", "2,5", "3,5")
    headless = read("1,5;2,5;3,5\n4,0;5,0;6,0\n", names=["a", "b", "c"])
    assert headless.frame.row(1) == ("4,0", "5,0", "6,0")


def test_the_delimiter_agrees_with_the_header_not_with_lists_inside_the_fields():
    assert read("id,tags\n1,a;b;c\n2,d;e;f\n").frame.columns == ["id", "tags"]


def test_tsv_prefers_the_tab(tmp_path: Path):
    path = tmp_path / "names.tsv"
    path.write_text("last, first\tborn, died\nBach, J\t1685, 1750\n")
    assert read_table(path).frame.columns == ["last, first", "born, died"]


def test_the_delimiter_line_of_excel_is_obeyed():
    table = read("sep=;\na;b,c\n1;2,3\n")
    assert (table.frame.columns, table.frame.row(0), table.line_of(0)) == (
        ["a", "b,c"],
        ("1", "2,3"),
        3,
    )


def test_newlines_in_quotes_keep_the_line_numbers_right():
    table = read('id,"a\nnote"\n1,"two\nlines"\n2,one\n3,"three\n\nlines"\n4,x\n')
    assert table.frame.columns == ["id", "a\nnote"]
    assert table.frame["a\nnote"].to_list() == ["two\nlines", "one", "three\n\nlines", "x"]
    assert lines_of(table) == [3, 5, 6, 9]
    assert table.place_of(3) == "file object, line 9"


def test_line_of_refuses_rows_that_are_not_there():
    with pytest.raises(IndexError, match="rows 0 to 0, not 1"):
        read("a,b\n1,2\n").line_of(1)


def test_blank_lines_are_no_rows():
    table = read("\n  \na,b\n1,2\n\n   \n3,4\n\n\n")
    assert table.frame.rows() == [("1", "2"), ("3", "4")]
    assert lines_of(table) == [4, 7]


def test_a_row_of_empty_fields_is_a_row():
    assert read("a,b\n1,2\n,\n").frame.rows() == [("1", "2"), ("", "")]


def test_stray_quotes_inside_a_field_are_characters():
    table = read('size,colour\n5" pipe,red\n6" x 4" pipe,"green, dark"\n2,"b""lue"\n')
    assert table.frame["size"].to_list() == ['5" pipe', '6" x 4" pipe', "2"]
    assert table.frame["colour"].to_list() == ["red", "green, dark", 'b"lue']


def test_quotes_that_open_no_field_are_characters_everywhere():
    text = 'size,n\n5" pipe,1\n' + '6" pipe,2\n' * 3
    assert read(text).frame["size"].to_list() == ['5" pipe'] + ['6" pipe'] * 3


def test_a_short_row_at_the_very_end_is_noticed():
    with pytest.raises(InputError, match=r"line 3: 1 field, expected 2"):
        read("a,b\n1,2\n3")


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.text(
    '",;\n\r ab', max_size=6
)


@st.composite
def rectangles(draw) -> list[list[str]]:
    width = draw(st.integers(2, 4))
    row = st.lists(FIELD, min_size=width, max_size=width)
    return draw(st.lists(row, min_size=1, max_size=6))


def write_csv(rows: list[list[str]], **options) -> bytes:
    # With "\n" at the end of lines csv leaves a bare "\r" unquoted, which nobody can tell apart.
    quoting = csv.QUOTE_ALL if options["lineterminator"] == "\n" else csv.QUOTE_MINIMAL
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, **options).writerows(rows)
    return text.getvalue().encode()


@settings(deadline=None)
@given(rectangles(), st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n"]))
def test_what_csv_writes_is_read_back_below_a_header(rows, delimiter, line_end):
    header = [f"name {k}" for k in range(len(rows[0]))]
    data = write_csv([header, *rows], delimiter=delimiter, lineterminator=line_end)
    table = read(data)
    assert table.frame.columns == header
    assert [list(row) for row in table.frame.rows()] == rows


@settings(deadline=None)
@given(rectangles(), st.sampled_from(["\n", "\r\n"]))
def test_what_csv_writes_is_read_back_without_a_header(rows, line_end):
    # Other delimiters could cut the few lines as well; a mark at the very start is no value.
    rows = [[re.sub("[;\t|\ufeff]", "", value) for value in row] for row in rows]
    names = list(string.ascii_lowercase[: len(rows[0])])
    table = read(write_csv(rows, lineterminator=line_end), names=names)
    assert table.frame.columns == names
    assert [list(row) for row in table.frame.rows()] == rows


@settings(deadline=None)
@given(st.text('ab",\n', max_size=40), st.integers(1, 3), st.sampled_from([1, 3, 1 << 18]))
def test_records_are_the_same_found_at_once_and_one_by_one(text, width, chunk):
    """Whatever the quotes do: every record is counted right and no line is lost."""
    data = text.encode() + b"\n"
    dialect = grammar.Dialect(b",", b"\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_CHUNK_BYTES", chunk)
        found = records.find_records(data, 0, 1, dialect, width)
    start = line = 0
    for k in range(found.counts.size):
        assert found.lines[k] == line + 1
        record = grammar.split_record(data, start, dialect)
        if found.broken[k]:
            start = data.index(b"\n", start) + 1
        elif grammar.has_quoted_fields(data, 0, dialect):
            assert found.counts[k] == len(record.fields)
            start = record.stop
        else:
            start = data.index(b"\n", start) + 1
        line = data.count(b"\n", 0, start)
    assert start == len(data)


def read_or_refuse(data: bytes) -> Table | str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            return read(data)
        except InputError as error:
            return str(error)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_an_input_error_of_one_line(data):
    result = read_or_refuse(data)
    assert result.frame.height if isinstance(result, Table) else "\n" not in result


@settings(deadline=None)
@given(st.text('ab",;\n\r', max_size=60))
def test_any_text_is_a_table_or_an_input_error(text):
    result = read_or_refuse(b"x,y\n" + text.encode())
    if isinstance(result, Table):
        assert result.frame.columns == ["x", "y"]
    else:
        assert "\n" not in result


# --- names


def test_names_are_stripped():
    assert read(" a , b\n1,2\n").frame.columns == ["a", "b"]


def test_doubled_names_are_refused_with_both_places():
    with pytest.raises(InputError, match=r"columns 1 and 3 are both named 'a'"):
        read("a,b, a\n1,2,3\n")


def test_a_header_without_any_name_is_refused():
    with pytest.raises(InputError, match="the header names no column"):
        read(",,\n1,2,3\n")


def test_an_unnamed_column_that_is_not_at_the_end_is_named_by_its_place():
    assert read(",x,,y\n0,1,2,3\n1,4,5,6\n").frame.columns == ["column_1", "x", "column_3", "y"]


def test_a_delimiter_at_the_end_of_every_line_makes_no_column():
    table = read("a,b,\n1,2,\n3,4,\n")
    assert table.frame.to_dict(as_series=False) == {"a": ["1", "3"], "b": ["2", "4"]}
    assert lines_of(table) == [2, 3]


@pytest.mark.parametrize("text", ["a,b\n1,2,\n3,4,\n", "a,b,\n1,2\n3,4\n", "a,b,,,\n1,2,\n3,4,\n"])
def test_a_delimiter_at_the_end_of_the_rows_or_the_header_alone_does_no_harm(text):
    assert read(text).frame.to_dict(as_series=False) == {"a": ["1", "3"], "b": ["2", "4"]}


def test_names_for_a_file_without_a_header():
    table = read("\n41,f\n29,m\n", names=["age", " sex "])
    assert table.frame.to_dicts() == [{"age": "41", "sex": "f"}, {"age": "29", "sex": "m"}]
    assert lines_of(table) == [2, 3]
    assert read("41,f,\n29,m,\n", names=["age", "sex"]).frame.columns == ["age", "sex"]
    assert read("41\n29\n", names=["age"]).frame["age"].to_list() == ["41", "29"]


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_the_number_of_names_must_be_that_of_the_columns(names):
    with pytest.raises(InputError, match=r"line 1: .*names given.*name every column"):
        read("41,f\n29,m\n", names=names)


def test_names_must_differ_and_be_a_list():
    with pytest.raises(InputError, match="both named 'a'"):
        read("41,f\n", names=["a", "a"])
    with pytest.raises(InputError, match="list of names"):
        read("41,f\n", names="ab")


def test_a_first_row_taken_for_a_header_is_pointed_out():
    with pytest.warns(DataWarning, match=r"looks like a row.*'40'"):
        table = read("40,f,no\n40,m,no\n35,f,yes\n")
    assert table.frame.height == 2


# --- malformed lines


def long_text(malformed: dict[int, str], n_lines: int = 2001) -> str:
    lines = ["a,b,c"] + [f"{k},x,{k % 7}" for k in range(2, n_lines + 1)]
    for line, text in malformed.items():
        lines[line - 1] = text
    return "\n".join(lines) + "\n"


def test_one_malformed_line_in_a_thousand_is_left_out_and_named():
    with pytest.warns(DataWarning) as caught:
        table = read(long_text({7: "7,x", 1500: "1500,x,y,z"}))
    assert [str(w.message) for w in caught] == [
        "file object: 2 malformed lines of 2000 left out: "
        "line 7 (2 fields, expected 3), line 1500 (4 fields, expected 3)"
    ]
    assert table.left_out == (
        LeftOut(7, "2 fields, expected 3"),
        LeftOut(1500, "4 fields, expected 3"),
    )
    assert table.frame.height == 1998
    assert all(int(a) == table.line_of(row) for row, a in enumerate(table.frame["a"]))


def test_more_malformed_lines_are_an_error_that_names_the_first():
    with pytest.raises(InputError) as caught:
        read(long_text({7: "7,x", 9: "9", 1500: "1500,x,y,z"}))
    assert str(caught.value) == (
        "file object, line 7: 2 fields, expected 3 (3 named columns, delimiter ','); "
        "3 of 2000 lines are malformed, at most 0.1% may be left out: mend them, or name every "
        "column"
    )


@pytest.mark.parametrize("text", ["a,b\n1,2\n3\n", "a,b\n1,2,3\n1,2\n", 'a,b\n1,2\n"3,4\n'])
def test_a_small_table_has_no_line_to_spare(text):
    with pytest.raises(InputError, match=r"line \d: .* of 2 lines are malformed"):
        read(text)


def test_a_value_under_an_unnamed_column_at_the_end_is_malformed():
    lines = ["a\tb\t"] + [f"{k}\tx\t" for k in range(2, 2002)]
    lines[99] = "100\textra\tx"
    with pytest.warns(DataWarning, match=r"1 malformed line of 2000 left out: line 100 "):
        table = read("\n".join(lines) + "\n")
    assert table.left_out == (LeftOut(100, "a value ('x') under column 3, which has no name"),)
    assert table.frame.columns == ["a", "b"]
    assert all(int(a) == table.line_of(row) for row, a in enumerate(table.frame["a"]))


def test_a_column_without_a_name_but_with_values_is_an_error():
    with pytest.raises(
        InputError, match=r"line 3: a value \('6'\) under column 3, which has no name"
    ):
        read("a,b,\n1,2,\n4,5,6\n7,8,9\n")
    with pytest.raises(
        InputError, match=r"line 2: a value \('3'\) under column 3, which has no name"
    ):
        read("a,b\n1,2,3\n4,5,6\n")


@pytest.mark.parametrize("swallowed", ['5,"x,1', '"5,x,1', '5,"x"y,1'])
def test_a_stray_quote_costs_its_own_line_only(swallowed):
    # The last one is closed by the quote of another line far below.
    text = long_text({5: swallowed, 900: '900,"x",2', 901: '901,"a\nb",2'})
    with pytest.warns(DataWarning, match="line 5 "):
        table = read(text)
    assert [left.line for left in table.left_out] == [5]
    assert table.left_out[0].reason == "a quote is opened and not closed"
    assert table.frame.height == 1999
    assert table.frame["b"][897] == "x"
    assert table.frame["b"][898] == "a\nb"
    assert (table.line_of(897), table.line_of(898), table.line_of(899)) == (900, 901, 903)


def test_a_quote_that_closes_properly_but_swallows_a_row_is_found():
    with pytest.warns(DataWarning, match="line 5 "):
        table = read(long_text({5: '5,"x,1', 700: '700,x",1', 1500: "1500,y,1"}))
    assert [left.line for left in table.left_out] == [5]
    assert table.frame["b"][697] == 'x"'


def test_texts_of_several_lines_with_commas_are_not_doubted():
    note = "Dear Sir,\nhello, you\nyours, me"
    table = read(f'id,note\n1,"{note}"\n2,"{note}"\n')
    assert table.frame["note"].to_list() == [note, note]


def test_a_header_with_an_open_quote_is_refused():
    with pytest.raises(InputError, match="line 1: a quote is opened in the header"):
        read('a,"b\n1,2\n')


# --- one column


def test_a_single_column_is_questioned():
    with pytest.warns(DataWarning, match="one column only, 'income': none of , ; tab"):
        table = read("income\n12\n13\n")
    assert table.frame.rows() == [("12",), ("13",)]


def test_a_single_column_of_free_text_is_read_whole():
    with pytest.warns(DataWarning, match="one column only"):
        table = read('note\nfirst, second\n"third; fourth"\nfifth\n""\n\nlast\n')
    assert table.frame["note"].to_list() == ["first, second", "third; fourth", "fifth", "", "last"]
    assert lines_of(table) == [2, 3, 4, 5, 7]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("age:sex\n41:f\n", "':' stands between"),
        ("age^sex\n41^f\n", r"'\^' stands between"),
        ("age sex income\n41 f 3\n29 m 5\n", "a blank stands between"),
        ("age sex\n41;f\n29;m\n", "lines below it have 2 with ';'"),
    ],
)
def test_another_delimiter_is_an_error(text, words):
    with pytest.raises(InputError, match=words):
        read(text)


# --- encodings


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_unicode_in_every_encoding(encoding, mark):
    text = "name;größe\n" + "Zoë;1\n" * 30
    table = read((mark + text).encode(encoding))
    assert table.frame.columns == ["name", "größe"]
    assert table.frame.row(29) == ("Zoë", "1")


def test_windows_1252_is_read_and_said():
    data = "name,sum\nAda,5\nMüller,7€\n".encode("cp1252")
    with pytest.warns(DataWarning, match=r"line 3: byte 0xFC is not UTF-8.*Windows-1252.*'Müller'"):
        table = read(data)
    assert table.frame.row(1) == ("Müller", "7€")


def test_damaged_utf8_is_not_taken_for_another_encoding():
    data = "name,n\nÄpfel,1\nMüller,2\nGrün,3\n".encode().replace("Grün".encode(), b"Gr\xfcn")
    with pytest.raises(InputError, match=r"line 4: byte 0xFC is not UTF-8 though the rest"):
        read(data)


def test_bytes_of_no_known_encoding_name_line_and_byte():
    with pytest.raises(InputError, match=r"line 2: byte 0x81 is not UTF-8, nor .*Windows-1252"):
        read(b"name,n\n\x81,1\n")


def test_a_character_across_the_pieces_in_which_utf8_is_checked():
    text = "a,b\n" + "x" * ((1 << 20) - 5) + "ü,1\n"
    assert read(text).frame["a"][0].endswith("xü")
    with pytest.warns(DataWarning, match="byte 0xFC"):
        read(text.encode("cp1252"))


def test_a_nul_byte_is_refused_with_its_line():
    with pytest.raises(InputError, match="line 3: a NUL byte"):
        read(b"a,b\n1,2\n3,\x004\n")


def test_utf16_that_is_cut_is_refused():
    with pytest.raises(InputError, match="UTF-16 but is cut or damaged"):
        read("a,b\n1,2\n".encode("utf-16")[:-1])


# --- nothing to read


@pytest.mark.parametrize("text", ["", "\n\n", "   ", "\ufeff"])
def test_an_empty_file(text):
    with pytest.raises(InputError, match=r"file object: .*empty|no rows"):
        read(text)


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "a,b\n\n\n", '"a","b"\r\n'])
def test_a_header_alone(text):
    with pytest.raises(InputError, match="no rows below the header"):
        read(text)
