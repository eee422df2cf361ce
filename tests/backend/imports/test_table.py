"""CSV files as people and their programs really leave them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.imports.refusals import MOST_TOLD, NothingImported, Refusals, quoted
from backend.imports.table import LONGEST_LINE, UnreadableFile, read_rows

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=12)


def read(path: Path, content: bytes) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """Return the rows (line, cells) of columns a and b, and what was refused."""
    path.write_bytes(content)
    said: list[str] = []
    rows = read_rows(path, ["a", "b"], ["c"], refusals=Refusals(said.append))
    return [(row.line, list(row.cells)) for row in rows], said


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"a,b\r\n1,2\r\n",
        b"\xef\xbb\xbfa,b\n1,2",
        b'"a","b"\n"1","2"\n',
        b"b,x,a\n2,9,1\n",
        b" a , b \n1,2\n\n  \n",
    ],
    ids=["plain", "crlf", "bom", "quoted", "other order", "blanks"],
)
def test_the_same_row_in_many_dresses(file: Path, content: bytes) -> None:
    assert read(file, content) == ([(2, ["1", "2", ""])], [])


def test_an_optional_column_is_read_where_it_is(file: Path) -> None:
    assert read(file, b"c,a,b\n3,1,2\n")[0] == [(2, ["1", "2", "3"])]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"1", "want 2 cells, got 1"),
        (b"1,2,3", "want 2 cells, got 3"),
        (b"1,\0", "holds a NUL"),
        (b"\xff\xfe,2", "is not UTF-8"),
        (b'"1,2', "quotes that do not close as they should"),
        (b'"1"x,2', "quotes that do not close as they should"),
        (b"1" * (LONGEST_LINE + 5) + b",2", "is longer than 65,536 characters"),
        (b"1" * (3 * LONGEST_LINE) + b",2", "is longer than 65,536 characters"),
    ],
    ids=["few", "many", "nul", "latin", "open", "glued", "long", "huge"],
)
def test_a_bad_line_is_refused_by_its_number_and_the_rest_is_read(
    file: Path, bad: bytes, why: str
) -> None:
    rows, said = read(file, b"a,b\n1,2\n" + bad + b"\n3,4\n5,6\n")

    assert rows == [(2, ["1", "2", ""]), (4, ["3", "4", ""]), (5, ["5", "6", ""])]
    assert said == [f"t.csv:3: {why}"]


def test_a_quoted_cell_may_run_over_lines(file: Path) -> None:
    rows, said = read(file, b'a,b\n1,"two\nlines"\n3,4\n')

    assert rows == [(2, ["1", "two\nlines", ""]), (4, ["3", "4", ""])]
    assert said == []


def test_an_open_quote_swallows_no_later_quoted_row(file: Path) -> None:
    rows, said = read(file, b'a,b\n"1,2\n3,4\n"5","6"\n')

    assert rows == [(3, ["3", "4", ""]), (4, ["5", "6", ""])]
    assert said == ["t.csv:2: quotes that do not close as they should"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"\n1,2\n", "the file is empty"),
        (b"a;b\n1;2\n", "no column a, b in its first line, 'a;b'"),
        (b"a\n1\n", "no column b in its first line, 'a'"),
        (b"a,b,a\n1,2,3\n", "more than one column a"),
        ("a,b\n1,2\n".encode("utf-16"), "its first line"),
        (b'"a,b\n', "its first line"),
        (b"a," + b"x" * LONGEST_LINE + b"\n", "its first line is longer"),
    ],
    ids=["empty", "blank", "semicolons", "one", "twice", "utf-16", "open", "long"],
)
def test_a_file_without_its_columns_is_refused(
    file: Path, content: bytes, why: str
) -> None:
    with pytest.raises(UnreadableFile) as refused:
        read(file, content)
    assert f"t.csv: {why}" in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"none\.csv: No such file"):
        list(read_rows(tmp_path / "none.csv", ["a"], refusals=Refusals(print)))


@given(rows=st.lists(st.tuples(CELL, CELL), max_size=8))
def test_what_a_csv_writer_wrote_is_read_back(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    quoted_rows = [
        ",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows
    ]
    file = tmp_path_factory.mktemp("csv") / "t.csv"

    got, said = read(file, "\n".join(["a,b", *quoted_rows]).encode())

    assert [tuple(cells[:2]) for _, cells in got] == rows
    assert said == []


def test_a_thousand_refusals_are_told_and_all_are_counted() -> None:
    said: list[str] = []
    refusals = Refusals(said.append)
    for line in range(MOST_TOLD + 10):
        refusals.refuse("t.csv", line, "wrong")

    assert refusals.refused == MOST_TOLD + 10
    assert len(said) == MOST_TOLD + 1
    with pytest.raises(NothingImported, match="1010 rows"):
        refusals.stop_if_strict(strict=True)


def test_a_cell_is_shown_without_what_a_terminal_would_obey() -> None:
    assert quoted("\x1b[2J") == r"'\x1b[2J'"
    assert len(quoted("x" * 10_000)) < 100
