"""Text in 80 columns: alignment, wrapping, wide letters, and names made to break a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from onelayer.cli.output import WIDTH, measure, pad, paragraph, show_text, tabulate, wrap


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), min_size=1, max_size=4))
def test_tables_are_at_most_80_columns_wide_and_lose_no_letter(rows):
    rows = [[show_text(cell) for cell in row] for row in rows]
    lines = tabulate(["", "", ""], rows)
    assert max(map(measure, lines)) <= WIDTH
    assert sorted("".join(lines).replace(" ", "")) == sorted(
        "".join(cell for row in rows for cell in row).replace(" ", "")
    )


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers(2, 40))
def test_wrapped_lines_fit_and_hold_every_word(text, width):
    text = show_text(text)
    lines = wrap(text, width)
    assert max(map(measure, lines)) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.text(max_size=60), st.integers(4, 40))
def test_text_is_cut_to_what_was_asked(text, most):
    shown = show_text(text, most)
    assert measure(shown) <= most
    assert shown.isprintable()


def test_wide_letters_and_accents_are_aligned():
    lines = tabulate(["name", "n"], [["年収", "1"], ["e\u0301ge", "22"]], right=[1])
    assert lines == ["  name   n", "  年収   1", "  e\u0301ge   22"]
    assert pad("年", 4) == "年  "


def test_the_widest_column_wraps():
    lines = tabulate(["", ""], [["role", "a, " * 60]])
    assert all(line.startswith(("  role  a, a", "        a, a")) for line in lines)
    assert max(map(len, lines)) <= WIDTH


def test_a_paragraph_keeps_its_indent():
    lines = paragraph("word " * 40, "  ")
    assert all(line.startswith("  word") for line in lines)
