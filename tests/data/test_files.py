"""Files as they come: encodings, line ends, damaged and oversized files, headers, delimiters, Parquet types."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reportgen.config import Config
from reportgen.data import bytecheck, ingest_load
from reportgen.data.dataset import Dataset
from reportgen.errors import InputError

GOOD = "user_id,item_id,timestamp\nu,A,2020-01-01\nü,B,2020-01-02\n"
HEAD = b"user_id,item_id,timestamp\n"
ASCII = GOOD.replace("ü", "v")


def parquet(folder: Path, name: str, sql: str) -> Path:
    """Write a query's result."""
    path = folder / name
    duckdb.sql(f"COPY ({sql}) TO '{path}'")
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD.encode("utf-16"), 'encoded as utf-16.*encoding = "utf-16"'),
        (GOOD.encode("utf-16-le"), "encoded as utf-16-le"),
        (GOOD.encode("utf-32"), "encoded as utf-32"),
        (HEAD + b"u,A,2020-01-01\nu\xe9,A,2020-01-01\n", r'line 3, byte 42: .*encoding = "latin-1"'),
        (b"user_id,item_id,timestamp\ru,A,2020-01-01\ru\xe9,A,2020-01-01\r", "line 3, byte 42"),
        (b"user_id,item_id,timestamp\nu,A,2020-01-01\nu\xc3", "line 3, byte 42"),
        (HEAD + b'u,A,2020-01-01\n"u,B,2020-01-01\nu,B,2020-01-02\n', "line 3: a quote is not closed"),
        (HEAD + b'"u\n",A,2020-01-01\n"u"x,B,2020-01-01\n', "line 4: .*text follows a closing quote"),
        (b'user_id,"item_id,timestamp\nu,A,2020-01-01\n', "line 1: the header cannot be read"),
        (b"user_id,user_id,item_id,timestamp\nu,u,A,2020-01-01\n", '"user_id" twice'),
        (ASCII.replace(",", ";").encode(), 'found 1 column named "user_id;item_id;timestamp"; set .*delimiter = ";"'),
        (ASCII.replace(",", "\t").encode(), r'delimiter = "\\t"'),
        (ASCII.replace(",", "|").encode(), r'delimiter = "\|"'),
        (b"", "the file is empty"),
        (b"  \n", "the file is empty"),
        (b"\nuser_id,item_id,timestamp\n", "line 1 is blank"),
        (b"user_id,item_id,timestamp\n", "no rows after the header"),
        (b"userid,item_id,timestamp\nu,A,2020-01-01\n", 'nearest is "userid": write user_id = "userid" under .events'),
        (b"User_ID,item_id,timestamp\nu,A,2020-01-01\n", 'write user_id = "User_ID"'),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_trusted_is_refused_with_a_remedy(read: Any, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"^events.csv: .*{message}"):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        GOOD.replace("\n", "\r\n", 1).encode(),
        GOOD.rstrip("\n").encode(),
        b"\xef\xbb\xbf" + GOOD.replace("\n", "\r").encode(),
    ],
)
def test_marks_and_line_ends_of_all_kinds_are_accepted(read: Any, content: bytes) -> None:
    data = read(content)
    assert (data.user_ids.tolist(), data.items.tolist(), data.problems) == (["u", "ü"], [0, 1], ())


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8-sig", "cp1252"])
def test_a_configured_encoding_is_read(read: Any, encoding: str) -> None:
    items = "item_id,title\nA,Lämp\nB,Chair\n".encode(encoding)
    data = read(GOOD.encode(encoding), items=items, config={"input": {"encoding": encoding}})
    assert data.user_ids.tolist() == ["u", "ü"]
    assert data.catalogue["title"][0] == "Lämp"


def test_a_wrong_configured_encoding_is_refused(read: Any) -> None:
    with pytest.raises(InputError, match="not valid utf-16"):
        read(GOOD.encode() + b"x", config={"input": {"encoding": "utf-16-be"}})


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_chunk_borders_do_not_matter(read: Any, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(bytecheck, "CHUNK", size)
    data = read(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n", 2).encode())
    assert (data.user_ids.tolist(), data.problems) == (["u", "ü"], ())
    with pytest.raises(InputError, match="line 3, byte 42"):
        read(b"user_id,item_id,timestamp\nu,A,2020-01-01\nu\xe9,A,2020-01-01\n")


def test_nul_bytes_become_a_visible_mark_and_are_counted(read: Any) -> None:
    data = read(ASCII.replace("u,A", "u\0\0,A").encode())
    assert data.user_ids.tolist() == ["u\ufffd\ufffd", "v"]
    assert [(p.reason, p.count, p.kept) for p in data.problems] == [("nul_bytes", 2, True)]


@pytest.mark.parametrize("name", ["e.csv", "e.tsv", "e.tab", "e.csv.gz", "e.tsv.gz", "E.CSV", "e[1]*.csv", "it's.csv"])
def test_kinds_of_files_and_odd_names(read: Any, name: str) -> None:
    text = ASCII.replace(",", "\t") if "tsv" in name or "tab" in name else ASCII
    data = read(gzip.compress(text.encode()) if name.endswith("gz") else text, name=name)
    assert data.user_ids.tolist() == ["u", "v"]


def test_zst_is_read(read: Any) -> None:
    path = read.folder / "e.csv.zst"
    table = "VALUES ('ü', 'A', '2020-01-01'), ('a\nb', 'B', '2020-01-02')) t(user_id, item_id, timestamp)"
    duckdb.sql(f"COPY (FROM ({table}) TO '{path}' (FORMAT csv, HEADER, COMPRESSION zstd)")
    assert path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    items = read.write("items.csv", "item_id,title\nA,a\nB,b\n")
    assert Dataset.from_files(path, items).user_ids.tolist() == ["a\nb", "ü"]
    path.write_bytes(b"not zst at all")
    with pytest.raises(InputError, match=r"^e.csv.zst: "):
        Dataset.from_files(path, items)


@pytest.mark.parametrize("name", ["e.xlsx", "e.pkl", "e.csv.bz2", "e", "e.parquet.gz"])
def test_other_kinds_are_refused_and_the_allowed_ones_named(read: Any, name: str) -> None:
    with pytest.raises(InputError, match=r"this kind of file is not read; allowed are .*\.parquet"):
        read(ASCII, name=name)


def test_nothing_there_is_refused(read: Any) -> None:
    with pytest.raises(InputError, match="no file found"):
        Dataset.from_files(read.folder / "absent*.csv", read.write("items.csv", "item_id,title\nA,a\n"))


@pytest.mark.parametrize("content", [gzip.compress(ASCII.encode(), mtime=0)[:-9], b"plain text"])
def test_damaged_gzip_is_refused(read: Any, content: bytes) -> None:
    with pytest.raises(InputError, match=r"e.csv.gz: the compressed file is damaged"):
        read(content, name="e.csv.gz")


def test_a_gzip_bomb_is_refused_while_streaming(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    chunks = bytecheck.raw_chunks
    monkeypatch.setattr(ingest_load, "raw_chunks", lambda source: (taken.append(c) or c for c in chunks(source)))
    bomb = gzip.compress(ASCII.encode() + b"u,A,2020-01-01\n" * 4_000_000)
    read.write("items.csv.gz", gzip.compress(b"item_id,title\nA,a\n"))
    path = read.write("e.csv.gz", bomb)
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        Dataset.from_files(path, read.folder / "items.csv.gz")
    assert sum(map(len, taken)) < 40e6


def test_a_parquet_bomb_is_refused_from_a_sample(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_load, "PARQUET_FLOOR", 1 << 20)
    path = parquet(
        read.folder, "bomb.parquet",
        "SELECT repeat('u', 1000) user_id, 'A' item_id, DATE '2020-01-01' \"timestamp\" FROM range(20000)",
    )  # fmt: skip
    items = read.write("items.csv", "item_id,title\nA,a\n")
    with pytest.raises(InputError, match="more than 200 times its size"):
        Dataset.from_files(path, items)
    trusted = Config.from_dict({"input": {"max_ratio": 1e6}})
    assert Dataset.from_files(path, items, config=trusted).items.size == 1


def test_too_many_rows_are_refused(read: Any) -> None:
    path = parquet(read.folder, "e.parquet", "SELECT 'u' user_id, 'A' item_id, now() \"timestamp\" FROM range(12)")
    items = read.write("items.csv", "item_id,title\nA,a\n")
    config = Config.from_dict({"input": {"max_rows": 10}})
    with pytest.raises(InputError, match="12 rows are more than"):
        Dataset.from_files(path, items, config=config)
    with pytest.raises(InputError, match="max_rows = 10"):
        read(ASCII + "u,A,2020-01-01\n" * 10, config={"input": {"max_rows": 10}})
    folder = read.folder / "many"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.csv").write_text(ASCII * 1 + "u,B,2020-01-01\n" * 3)
    with pytest.raises(InputError, match="have 15 rows, more than"):
        Dataset.from_files(folder, items, config=config)


def test_cells_that_are_too_long(read: Any) -> None:
    config = {"input": {"max_cell": 10}}
    long = "x" * 11
    data = read(
        ASCII + f"{long},A,2020-01-01\nw,{long},2020-01-01\n", items=f"item_id,title\nA,{long}\n", config=config
    )
    assert data.user_ids.tolist() == ["u", "v", "w"]
    assert data.catalogue["title"][0] == "x" * 10
    assert [(p.table, p.reason, p.count, p.kept) for p in data.problems if p.reason != "unknown_item"] == [
        ("events", "cell_too_long", 1, False),
        ("events", "cell_too_long", 1, False),
        ("items", "cell_too_long", 1, True),
    ]


def test_a_line_beyond_all_measure_is_set_aside(read: Any) -> None:
    data = read(ASCII + f"u,A,{'x' * 5_000_000}\nu,B,2020-01-03\n")
    assert [(p.reason, p.count, p.rows) for p in data.problems] == [("cell_too_long", 1, (3,))]
    assert data.items.size == 3


def test_folders_and_globs_are_read_in_name_order(read: Any) -> None:
    folder = read.folder / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "README.txt").write_text("not a table")
    (folder / ".hidden.csv").write_text("broken")
    (folder / "b.csv").write_text("user_id,item_id,timestamp\nu,B,2020-01-02\n")
    (folder / "sub" / "c.tsv").write_text("user_id\titem_id\ttimestamp\nw\tB\t2020-01-03\n")
    parquet(folder, "a.parquet", "SELECT 'v' user_id, 'A' item_id, DATE '2020-01-01' \"timestamp\"")
    items = read.write("items.csv", "item_id,title\nA,a\nB,b\n")
    assert Dataset.from_files(folder, items).user_ids.tolist() == ["u", "v", "w"]
    assert Dataset.from_files(str(folder / "[ab].*"), items).user_ids.tolist() == ["u", "v"]


def test_one_empty_file_of_many_is_no_error(read: Any) -> None:
    folder = read.folder / "in"
    folder.mkdir()
    (folder / "a.csv").write_text("user_id,item_id,timestamp\n")
    (folder / "b.csv").write_text(ASCII)
    assert Dataset.from_files(folder, read.write("items.csv", "item_id,title\nA,a\n")).rows_read["events"] == 2


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("TIMESTAMP '2020-01-01 10:00:00.5'", 1_577_872_800_500_000),
        ("TIMESTAMP_NS '2020-01-01 10:00:00.5'", 1_577_872_800_500_000),
        ("TIMESTAMP_S '2020-01-01 10:00:00'", 1_577_872_800_000_000),
        ("DATE '2020-01-01'", 1_577_836_800_000_000),
        ("TIMESTAMPTZ '2020-01-01 10:00:00+02'", 1_577_865_600_000_000),
        ("'2020-01-01 10:00:00+02'", 1_577_865_600_000_000),
    ],
)
def test_times_in_parquet(read: Any, sql: str, expected: int) -> None:
    path = parquet(read.folder, "e.parquet", f"SELECT 'u' user_id, 'A' item_id, {sql} \"timestamp\"")
    data = Dataset.from_files(path, read.write("items.csv", "item_id,title\nA,a\n"))
    assert data.timestamps.tolist() == [expected]


def test_numbers_as_times_in_parquet(read: Any, found: Any) -> None:
    path = parquet(read.folder, "e.parquet", "SELECT 'u' user_id, 'A' item_id, 1700000000 \"timestamp\"")
    items = read.write("items.csv", "item_id,title\nA,a\n")
    assert found(Dataset.from_files(path, items)) == {"timestamp_is_number": 1}
    config = Config.from_dict({"input": {"time_unit": "s"}})
    assert Dataset.from_files(path, items, config=config).timestamps.tolist() == [1_700_000_000_000_000]


def test_floating_point_ids_are_whole_or_set_aside(read: Any, found: Any) -> None:
    values = "(17850.0), (12.5), ('nan'::DOUBLE), (NULL), (1e300), (9007199254740993)"
    sql = f"SELECT x::DOUBLE user_id, 'A' item_id, DATE '2020-01-01' \"timestamp\" FROM (VALUES {values}) t(x)"
    data = Dataset.from_files(parquet(read.folder, "e.parquet", sql), read.write("i.csv", "item_id,title\nA,a\n"))
    assert data.user_ids.tolist() == ["17850"]
    assert found(data) == {"id_not_whole": 3, "empty_user_id": 2}


def test_mixed_id_types_are_refused_with_both_files(read: Any) -> None:
    path = parquet(read.folder, "e.parquet", "SELECT 'u' user_id, 7 item_id, DATE '2020-01-01' \"timestamp\"")
    items = read.write("items.csv", "item_id,title\n7,a\n")
    with pytest.raises(InputError, match=r"mixed_id_type: item_id .*items\.csv.*e\.parquet.*id_type"):
        Dataset.from_files(path, items)
    data = Dataset.from_files(path, items, config=Config.from_dict({"input": {"id_type": "text"}}))
    assert data.item_ids.tolist() == ["7"]
    assert data.problems == ()


def test_a_column_name_of_our_own_making_does_no_harm(read: Any) -> None:
    sql = (
        "SELECT 'u' user_id, 'A' item_id, DATE '2020-01-01' \"timestamp\", 'x' type_empty, 1 reason, 2 wall, 3 \"row\""
    )
    data = Dataset.from_files(parquet(read.folder, "e.parquet", sql), read.write("i.csv", "item_id,title\nA,a\n"))
    assert (data.items.size, data.problems) == (1, ())


def test_a_broken_parquet_is_refused_by_name_without_folder(read: Any) -> None:
    with pytest.raises(InputError, match=r"^e\.parquet: cannot be read") as caught:
        read("no parquet at all, but long enough to try", name="e.parquet")
    assert str(read.folder) not in str(caught.value)
