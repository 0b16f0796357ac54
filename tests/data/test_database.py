"""Tables from a SQL database: SQLite everywhere, and a real PostgreSQL where it is installed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen import Dataset
from reportgen.cli import main
from reportgen.config import Config
from reportgen.data import database
from reportgen.data.database import fetched, parse_address
from reportgen.errors import InputError

ITEMS = "item_id,title\n1,Lamp\n2,Chair\n"
ROWS = [
    ("007", "1", "2020-01-01", 1.0),
    ("007", "2", "2020-01-02T10:00:00+02:00", -1.5),
    ("ü\n,\"'", "1", "2020-01-03", 2),
]
COLUMNS = "user_id, item_id, timestamp, quantity"
ARRAYS = ("user_ids", "item_ids", "items", "timestamps", "types", "values", "orders")
INSTALL = "apt-get install postgresql"
SQL = "SELECT * FROM events"


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> Callable[..., str]:
    """``shop(rows)`` is the address of a SQLite database with a table of events."""
    pytest.importorskip("sqlalchemy", reason="pip install -e '.[sql]'")
    (tmp_path / "items.csv").write_text(ITEMS)

    def make(rows: list[tuple[Any, ...]] = ROWS, columns: str = COLUMNS) -> str:
        path = tmp_path / "shop.db"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as con, con:
            con.execute(f"CREATE TABLE events ({columns})")
            con.executemany(f"INSERT INTO events VALUES ({', '.join('?' * len(rows[0]))})", rows)
        return f"sqlite:///{path}"

    return make


@pytest.fixture(name="ask")
def _ask(tmp_path: Path) -> Callable[..., Dataset]:
    """``ask(address, statement)`` is the data set of these events."""
    (tmp_path / "items.csv").write_text(ITEMS)

    def ask(address: str, statement: str = SQL, **config: Any) -> Dataset:
        return Dataset.from_files(f"{address}::{statement}", tmp_path / "items.csv", config=Config.from_dict(config))

    return ask


def test_rows_of_a_database_are_those_of_a_file(shop: Any, ask: Any, tmp_path: Path) -> None:
    cells = ((user.replace('"', '""'), *rest) for user, *rest in ROWS)
    lines = "".join('"{}",{},{},{}\n'.format(*row) for row in cells)
    (tmp_path / "events.csv").write_text(f"{COLUMNS.replace(' ', '')}\n{lines}", newline="")
    filed, asked = Dataset.from_files(tmp_path / "events.csv", tmp_path / "items.csv"), ask(shop())
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(asked, name), getattr(filed, name), err_msg=name)
    assert asked.user_ids.tolist() == ["007", "ü\n,\"'"]


def test_more_rows_than_one_chunk_and_every_row_counted(shop: Any, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHUNK", 7)
    rows: list[tuple[Any, ...]] = [(f"u{k % 5}", str(1 + k % 2), f"2020-01-{1 + k % 28:02}", k + 1) for k in range(100)]
    data = ask(shop([*rows, (None, "1", "2020-01-01", 1), ("u", "1", "then", 1)]))
    assert data.items.size == 100
    assert [(p.reason, p.rows, p.file) for p in data.problems] == [
        ("empty_user_id", (101,), "events (SQL).parquet"),
        ("unreadable_timestamp", (102,), "events (SQL).parquet"),
    ]


def test_values_keep_their_type(shop: Any, ask: Any) -> None:
    whole = ask(
        shop(
            [(1.0, "1", "2020-01-01"), (2.0, "1", "2020-01-02"), (2.5, "1", "2020-01-02")],
            "user_id, item_id, timestamp",
        )
    )
    assert whole.user_ids.tolist() == ["1", "2"]
    assert [p.reason for p in whole.problems] == ["id_not_whole"]
    large = ask(shop([(2**62, "1", "2020-01-01", 1)]))
    assert large.user_ids.tolist() == [str(2**62)]
    mixed = ask(shop([("7", "1", "2020-01-01", 1), (7, "1", "2020-01-02", 1.5)]))
    assert mixed.user_ids.tolist() == ["7"]
    with pytest.raises(InputError, match="mixed_id_type"):
        ask(shop([("u", 1, "2020-01-01", 1)]))
    with pytest.raises(InputError, match='column "quantity" holds values of type bytes; cast it to text'):
        ask(shop([("u", "1", "2020-01-01", b"\0")]))


def test_a_percent_sign_and_a_colon_are_no_parameters(shop: Any, ask: Any) -> None:
    data = ask(shop(), "SELECT * FROM events WHERE user_id LIKE '0%' AND ':x' <> '%s' AND '10:00' <> ';'")
    assert data.items.size == 2


def test_nothing_is_written_and_no_database_made(shop: Any, ask: Any, tmp_path: Path) -> None:
    address = shop()
    before = (tmp_path / "shop.db").read_bytes()
    for statement in ("DELETE FROM events", "WITH x AS (SELECT 1) DELETE FROM events", "SELECT 1; DROP TABLE events"):
        with pytest.raises(InputError, match=r"only a SELECT|only reading is allowed|more than one statement"):
            ask(address, statement)
    assert (tmp_path / "shop.db").read_bytes() == before
    with pytest.raises(InputError, match=r"no database at none\.db"):
        ask(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_change_that_is_hidden_from_the_check_is_refused_by_the_database(
    shop: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = shop()
    monkeypatch.setattr(database, "_CHANGES", database.re.compile("(?!)"))
    with pytest.raises(InputError, match="readonly database"):
        ask(address, "WITH x AS (SELECT 1) DELETE FROM events RETURNING user_id")


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1 -- ; DROP", "SELECT ';' AS a", 'SELECT "delete" FROM t', "select 1;", "  WITH a AS (SELECT 1) SELECT * FROM a",
     "(SELECT 1)", "SELECT $$; DELETE$$", "SELECT $a$ it's ; $a$", "SELECT /* INTO */ deleted, update_time FROM t", "-- x\nSELECT 1"],
)  # fmt: skip
def test_harmless_statements_pass(statement: str) -> None:
    address = parse_address(f"sqlite:///x.db::{statement}")
    assert address is not None
    assert address.url == "sqlite:///x.db"


@pytest.mark.parametrize("where", ["events.csv", "a::b", "data/e*.parquet", "C:\\x::y"])
def test_files_are_no_addresses(where: str) -> None:
    assert parse_address(where) is None
    assert parse_address(Path(where)) is None
    assert parse_address(None) is None


def test_an_address_is_split_at_the_first_double_colon_outside_of_brackets() -> None:
    address = parse_address("postgresql://u@[2001:db8::1]:5432/d?x=1::SELECT a::text FROM t")
    assert address is not None
    assert (address.url, address.statement) == ("postgresql://u@[2001:db8::1]:5432/d?x=1", "SELECT a::text FROM t")


SECRET = "s3cret-Pässw0rd"


@pytest.mark.parametrize(
    "where",
    [
        f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/d::SELECT 1",
        f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/d",
        f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/d::DROP TABLE x",
        f"postgresql+psycopg://me:x@{SECRET}@127.0.0.1:1/d::SELECT 1",
        f"postgresql+psycopg://127.0.0.1:1/d?user=me&password={SECRET}::SELECT 1",
        f"postgresql+nodriver://me:{SECRET}@h/d::SELECT 1",
        f"nothing://me:{SECRET}@h/d::SELECT 1",
        f"postgresql+psycopg://me:{SECRET}@h:port/d::SELECT 1",
    ],
)
def test_a_password_is_never_shown(where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("psycopg", reason="pip install -e '.[sql]'")
    (tmp_path / "items.csv").write_text(ITEMS)
    assert SECRET not in repr(_parsed(where))
    words = ["fit", "--events", where, "--items", str(tmp_path / "items.csv"), "--model", str(tmp_path / "m")]
    assert main(words) == 1
    told = capsys.readouterr()
    assert "Error" not in told.err.split("reportgen:")[0]
    assert SECRET not in told.out + told.err
    assert told.err.count("\n") == 1


def _parsed(where: str) -> object:
    try:
        return parse_address(where)
    except InputError as error:
        return str(error)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(InputError, match=r"events: to read from a database install: pip install 'reportgen\[sql\]'"):
        Dataset.from_files("sqlite:///x.db::SELECT 1", "items.csv")


def test_sqlalchemy_is_not_loaded_for_files(repository: Path) -> None:
    code = "import sys, reportgen.data.dataset; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_a_column_that_is_missing_or_named_twice(shop: Any, ask: Any) -> None:
    with pytest.raises(InputError, match=r'events \(SQL\)\.parquet: the events have no column "item_id"'):
        ask(shop(), "SELECT user_id, timestamp FROM events")
    with pytest.raises(InputError, match='two columns named "user_id"; name one of them with AS'):
        ask(shop(), "SELECT user_id, user_id FROM events")
    with pytest.raises(InputError, match=r"the database failed \(no such table: visits\); nothing of it was used"):
        ask(shop(), "SELECT * FROM visits")


def test_too_many_rows_stop_early(shop: Any, ask: Any) -> None:
    with pytest.raises(InputError, match="more rows than"):
        ask(shop(), input={"max_rows": 2})


def test_nothing_is_left_behind(shop: Any, ask: Any, tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    settings = {"spill_folder": str(spill)}
    ask(shop(), input=settings)
    with pytest.raises(InputError):
        ask(shop(), "SELECT * FROM visits", input=settings)
    assert list(spill.iterdir()) == []


def test_the_same_rows_are_the_same_file(shop: Any) -> None:
    address = shop([(f"u{k}", "1", "2020-01-01", k) for k in range(5000)])
    seen = set()
    for _ in range(2):
        with fetched(Config().input, {"events": f"{address}::{SQL}", "items": Path("i.csv"), "users": None}) as files:
            assert files["items"] == Path("i.csv")
            seen.add(Path(str(files["events"])).read_bytes())
    assert len(seen) == 1


def test_a_run_from_a_database(shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_KEY", "0123456789abcdef" * 2)
    address = shop([(f"u{k % 40}", str(1 + k * k % 2), f"2020-01-{1 + k % 28:02}", 1) for k in range(400)])
    words = ["build", "--events", f"{address}::{SQL}", "--items", str(tmp_path / "items.csv"), "--format", "json"]
    assert main([*words, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    manifest = (tmp_path / "run" / "manifest.json").read_text()
    assert '"events (SQL).parquet"' in manifest
    assert "sqlite" not in manifest
    assert str(tmp_path) not in manifest


# --- PostgreSQL


def _programs() -> Path | None:
    found = shutil.which("initdb") or next(
        iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None
    )
    return Path(found).parent if found else None


class Server:
    """A cluster of our own on a Unix socket, with passwords."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        # PostgreSQL refuses to run as root.
        self.user: dict[str, Any] = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        )

    def run(self, program: str, *words: str) -> None:
        subprocess.run(
            [str(self.programs / program), *words], cwd=self.folder, check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, **self.user,
        )  # fmt: skip

    def start(self) -> None:
        if self.user:
            shutil.chown(self.folder, "postgres", "postgres")
        (self.folder / "password").write_text(SECRET)
        (self.folder / "password").chmod(0o644)
        words = ("-D", str(self.folder / "data"), "-A", "scram-sha-256", "-U", "me", "--no-sync", "-E", "UTF8")
        self.run("initdb", *words, "--locale=C", f"--pwfile={self.folder / 'password'}")
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        self.run(
            "pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    @property
    def address(self) -> str:
        return f"postgresql+psycopg://me@/postgres?host={self.folder}"


@pytest.fixture(scope="module", name="server")
def _server(need_tool: Callable[[str, str], str]) -> Iterator[Server]:
    found = _programs()
    programs = Path(need_tool(str(found / "initdb") if found else "initdb", INSTALL)).parent
    # Not tmp_path: pytest's folders are closed to other users, and the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = Server(programs, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(name="postgres")
def _postgres(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a PostgreSQL; the password is in the environment, as libpq reads it."""
    monkeypatch.setenv("PGPASSWORD", SECRET)
    return server.address


SERIES = """SELECT 'u' || n % 100 AS user_id, n % 2 + 1 AS item_id,
timestamptz '2020-01-01 00:00:00+00' + n * interval '1 second' AS timestamp FROM generate_series(1, {}) n"""
IDS = "SELECT n AS item_id, 'Thing ' || n AS title, n * 1.5 AS price, ARRAY['a,b', 'c'] AS tags FROM generate_series(1, 2) n"


def test_postgres(postgres: str) -> None:
    data = Dataset.from_files(f"{postgres}::{SERIES.format(50_000)}", f"{postgres}::{IDS}")
    assert data.problems == ()
    assert data.user_ids.tolist() == sorted(f"u{k}" for k in range(100))
    assert np.diff(data.indptr).tolist() == [500] * 100
    assert data.timestamps.min() == 1_577_836_801_000_000
    assert data.catalogue["price"].tolist() == [1.5, 3.0]
    assert data.catalogue["tags"].tolist() == [("a,b", "c")] * 2


def test_types_of_postgres(postgres: str, ask: Any) -> None:
    uuid = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
    times = {
        "timestamp '2020-01-01 10:00:00.25'": 1_577_872_800_250_000,
        "date '2020-01-01'": 1_577_836_800_000_000,
        "timestamptz '2020-01-01 10:00:00.25+02'": 1_577_865_600_250_000,
        "'2020-01-01T10:00:00+02:00'::text": 1_577_865_600_000_000,
    }
    for when, expected in times.items():
        data = ask(
            postgres, f"SELECT uuid '{uuid}' AS user_id, '1' AS item_id, {when} AS timestamp, 2.5::numeric AS quantity"
        )
        assert (data.user_ids.tolist(), data.timestamps.tolist()) == ([uuid], [expected])
    config = {"input": {"id_type": "text"}}
    for number, known in (
        ("12345678901234567890::numeric", "12345678901234567890"),
        ("7::float8", "7"),
        ("7::int2", "7"),
    ):
        data = ask(postgres, f"SELECT {number} AS user_id, '1' AS item_id, date '2020-01-01' AS timestamp", **config)
        assert data.user_ids.tolist() == [known]
    with pytest.raises(InputError, match='column "timestamp" holds values of type dict'):
        ask(postgres, "SELECT 'u' AS user_id, '1' AS item_id, '{}'::jsonb AS timestamp")


def test_a_statement_that_fails_midway(postgres: str, ask: Any) -> None:
    broken = SERIES.format(100_000).replace("n % 2 + 1", "1 + 0 / (70000 - n)")
    with pytest.raises(
        InputError, match=r"the database failed after 60000 rows \(division by zero\); nothing of it was used"
    ):
        ask(postgres, broken)


def test_a_server_that_goes_away(postgres: str, ask: Any) -> None:
    gone = SERIES.format(100_000).replace(
        "n % 2 + 1", "CASE WHEN n = 70000 THEN pg_terminate_backend(pg_backend_pid())::int END"
    )
    with pytest.raises(InputError, match=r"the database failed after 60000 rows \(.*(terminat|closed)") as caught:
        ask(postgres, gone)
    assert SECRET not in str(caught.value)


def test_a_wrong_statement_names_table_and_place(postgres: str, ask: Any) -> None:
    with pytest.raises(InputError, match=r'relation "visits" does not exist at character \d+ of the statement'):
        ask(postgres, "SELECT * FROM visits")


def test_postgres_only_reads(postgres: str, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="statement holds INTO"):
        ask(postgres, "SELECT 1 AS user_id INTO made")
    told = "SELECT current_setting('transaction_read_only') AS user_id, '1' AS item_id, date '2020-01-01' AS timestamp"
    assert ask(postgres, told).user_ids.tolist() == ["on"]
    monkeypatch.setattr(database, "_CHANGES", database.re.compile("(?!)"))
    with pytest.raises(InputError, match=r"read-only transaction|DECLARE|INTO"):
        ask(postgres, "SELECT 1 AS user_id INTO made")


def test_a_wrong_password_is_not_shown(postgres: str, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "wr0ng-one")
    with pytest.raises(InputError, match='password authentication failed for user "me"') as caught:
        ask(postgres, "SELECT 1")
    assert "wr0ng-one" not in str(caught.value)


def test_rows_are_streamed_and_not_gathered(postgres: str) -> None:
    """The server makes the rows while they are read: what is held at once does not grow with their number."""
    code = """
import resource, sys
from reportgen.config import Config
from reportgen.data.database import fetched
with fetched(Config.from_dict({"input": {"memory_limit": "100MB"}}).input, {"events": sys.argv[1]}):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks = []
    for rows in (20_000, 600_000):
        words = [sys.executable, "-c", code, f"{postgres}::{SERIES.format(rows)}"]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
    # 580,000 rows as Python tuples would take more than 150 MB; the engine may use its 100 MB.
    assert peaks[1] - peaks[0] < 120_000
