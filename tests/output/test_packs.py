"""Packs and their index: the same bytes again, every changed byte found, every report found by its key."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.batch.people import report_stem
from reportgen.errors import OutputError
from reportgen.explain.privacy import pseudonym
from reportgen.output.durable import Durable
from reportgen.output.entries import MADE, MAX_LINE, OPTED_OUT, SET_ASIDE, Entry, entry_line, open_line, read_entry
from reportgen.output.pack_index import BUCKETS, build_index, check_index, find_entries, index_path, rebuild_index
from reportgen.output.packs import (
    LISTING,
    DamagedError,
    Pack,
    check_pack,
    find_damage,
    pack_path,
    packs_of,
    read_listing,
    read_report,
)

SECRET = b"a key for tests, not a secret"
#: Hash seeds, orders of arrival and processes must not show in a pack.
REMADE = """
import random, sys
sys.path.insert(0, sys.argv[1])
from test_packs import keys, make_pack
users = keys(40)
random.Random(int(sys.argv[2])).shuffle(users)
sys.stdout.buffer.write(make_pack(3, users).to_bytes())
"""


def keys(count: int, first: int = 0) -> list[str]:
    return [pseudonym(SECRET, f"user {k}") for k in range(first, first + count)]


def report(key: str, word: str) -> bytes:
    """Some text that compresses as reports do, and a PDF that does not compress."""
    seed = f"{key}.{word}".encode()
    if word == "pdf":
        return b"%PDF" + b"".join(hashlib.sha256(seed + bytes([k])).digest() for k in range(60))
    return b"<p>because you bought tea</p>" * 40 + hashlib.sha256(seed).hexdigest().encode()


def make_pack(shard: int, users: list[str]) -> Pack:
    pack = Pack(shard)
    for key in users:
        for word in ("json", "html", "pdf")[: 2 + (key < "c")]:
            pack.write(f"{report_stem(key)}.{word}", report(key, word))
    return pack


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Path:
    """Three packs of 30 users, one set aside, one opted out, and the index."""
    run = tmp_path / "run"
    run.mkdir()
    write_run(run)
    return run


def write_run(run: Path) -> None:
    with Durable(run) as out:
        for shard in range(3):
            pack = make_pack(shard, keys(30, 30 * shard))
            if shard == 1:
                pack.absent(pseudonym(SECRET, "aside"), SET_ASIDE)
                pack.absent(pseudonym(SECRET, "out"), OPTED_OUT)
            out.write(pack_path(shard), pack.to_bytes())
    rebuild_index(run)


def content(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_packs_opened_together_are_the_folders_of_a_run(run: Path, tmp_path: Path) -> None:
    for shard in packs_of(run):
        with zipfile.ZipFile(run / pack_path(shard)) as archive:
            assert archive.testzip() is None
            archive.extractall(tmp_path / "open")
    (tmp_path / "open" / LISTING).unlink()
    made = {
        f"{report_stem(key)}.{word}": report(key, word)
        for key in keys(90)
        for word in ("json", "html", "pdf")[: 2 + (key < "c")]
    }
    assert content(tmp_path / "open") == made


def test_a_pack_has_fixed_dates_rights_and_order(run: Path) -> None:
    with zipfile.ZipFile(run / pack_path(1)) as archive:
        infos = archive.infolist()
    names = [info.filename for info in infos]
    assert names[0] == LISTING
    by_key = [name.rpartition("/")[2] for name in names[1:]]
    assert by_key == sorted(by_key)
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {(info.external_attr, info.create_system) for info in infos} == {(0o100644 << 16, 3)}
    for info in infos:
        stored = info.filename.endswith(".pdf")
        assert info.compress_type == (zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
        assert stored or info.compress_size < info.file_size


def test_the_bytes_do_not_depend_on_order_process_or_hash_seed() -> None:
    expected = make_pack(3, keys(40)).to_bytes()
    for seed in ("0", "1", "77"):
        made = subprocess.run(
            [sys.executable, "-c", REMADE, str(Path(__file__).parent), seed],
            capture_output=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed, "TZ": f"UTC{seed}"},
        )  # fmt: skip
        assert made.stdout == expected


def test_a_pack_takes_back_what_could_not_be_finished_and_refuses_other_paths() -> None:
    first, second = keys(2)
    pack = make_pack(0, [first])
    whole = pack.to_bytes()
    pack.write(f"{report_stem(second)}.html", b"half a user", "text/html")
    pack.drop({f"{report_stem(second)}.html", f"{report_stem(second)}.pdf"})
    assert pack.to_bytes() == whole
    for path in ("index.html", "reports/00/../../x.html", f"{report_stem(first)}.html", f"/{report_stem(second)}.html"):
        with pytest.raises(ValueError, match="not the path of a report or is in the pack already"):
            pack.write(path, b"x")
    with pytest.raises(ValueError, match="is not one of set_aside, opted_out"):
        pack.absent(first, "forgotten")


def test_an_empty_pack_is_a_pack(tmp_path: Path) -> None:
    with Durable(tmp_path) as out:
        out.write(pack_path(0), Pack(0).to_bytes())
    check_pack(tmp_path, 0)
    assert read_listing(tmp_path, 0) == []
    assert rebuild_index(tmp_path).entries == 0
    assert find_entries(tmp_path, keys(1)[0]) == []


def test_every_report_is_found_and_nobody_else(run: Path) -> None:
    for at, key in enumerate(keys(90)):
        entries = find_entries(run, key)
        assert [entry.format for entry in entries] == ["html", "json", "pdf"][: 2 + (key < "c")]
        for entry in entries:
            assert (entry.key, entry.shard, entry.status) == (key, at // 30, MADE)
            assert read_report(run, entry) == report(key, entry.format)
    for user, status in (("aside", SET_ASIDE), ("out", OPTED_OUT)):
        key = pseudonym(SECRET, user)
        assert find_entries(run, key) == [Entry(key, "", 1, "", 0, "", status)]
    assert all(find_entries(run, key) == [] for key in keys(300, 1000))


MEMORY = Path("/dev/shm")
LETTERS = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=24, max_size=24)


@given(
    here=st.dictionaries(LETTERS, st.sets(st.sampled_from(["html", "json", "pdf"]), min_size=1), max_size=60),
    prefix=st.text("abcdefghijklmnopqrstuvwxyz234567", max_size=23),
    others=st.lists(LETTERS, max_size=10),
    spill=st.sampled_from([0, 1000, 1 << 20]),
)
def test_the_index_is_a_dictionary(here: dict[str, set[str]], prefix: str, others: list[str], spill: int) -> None:
    """Keys that share a beginning meet in one file; `spill` decides whether memory or temporary files sort them."""
    here = {(prefix + key)[:24]: words for key, words in here.items()}
    entries = {
        key: [Entry(key, w, len(key) * at, f"{report_stem(key)}.{w}", at, "0" * 64, MADE) for w in sorted(words)]
        for at, (key, words) in enumerate(here.items())
    }
    # In memory where the system has such a folder: a sync of 256 files for each example would take minutes.
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        run = Path(folder)
        build_index(run, [[entry_line(entry) for entry in reversed(lines)] for lines in entries.values()], spill)
        for key in [*here, *others, *((prefix + key)[:24] for key in others)]:
            assert find_entries(run, key) == entries.get(key, [])
        assert list(check_index(run)) == []


def test_the_index_has_the_same_bytes_from_any_order_of_packs_and_any_memory(run: Path) -> None:
    before = content(run)
    files = rebuild_index(run).files
    assert content(run) == before
    assert [(file.path, file.sha256, file.bytes) for file in files] == [
        (index_path(bucket), hashlib.sha256(before[index_path(bucket)]).hexdigest(), len(before[index_path(bucket)]))
        for bucket in BUCKETS
    ]
    listings = [read_listing(run, shard) for shard in packs_of(run)]
    for order, spill in ((listings[::-1], 1 << 20), ([[line] for lines in listings for line in reversed(lines)], 0)):
        build_index(run, order, spill)
        assert content(run) == before
    for bucket in BUCKETS[::3]:
        (run / index_path(bucket)).unlink()
    assert rebuild_index(run).entries == sum(map(len, listings))
    assert content(run) == before


def test_a_line_is_its_entry_and_shorter_than_the_block_that_is_read() -> None:
    longest = Entry("a" * 24, "f" * 8, 10**9, f"reports/00/{'a' * 24}.{'f' * 8}", 10**15, "0" * 64, SET_ASIDE)
    line = entry_line(longest)
    assert len(line) < MAX_LINE
    assert read_entry(line) == longest
    with pytest.raises(ValueError, match="other fields"):
        read_entry(
            b'{"key":"x","crc":"ae8d1a22"}\n'.replace(b"ae8d1a22", b"%08x" % __import__("zlib").crc32(b'{"key":"x"'))
        )


@pytest.mark.parametrize("change", range(5))
def test_a_user_in_two_packs_is_refused(change: int, run: Path) -> None:
    """Doubled users must not be hidden by an index that knows one of them."""
    key = keys(1)[0]
    twice = Pack(7 if change else 0)
    if change == 1:
        twice.write(f"{report_stem(key)}.html", b"another")
    elif change == 2:
        twice.write(f"{report_stem(key)}.pdf", b"only in another format")
    elif change == 3:
        twice.absent(key, SET_ASIDE)
    listings = [read_listing(run, shard) for shard in packs_of(run)]
    more = [entry_line(entry) for entry in twice.entries()]
    if change == 0:  # in one pack, with a report and without
        more = [entry_line(Entry(key, "", 0, "", 0, "", SET_ASIDE))]
    if change == 4:
        more = listings[0][:1]
    with pytest.raises(OutputError, match=r"user [a-z2-7]{24} is twice in packs/00000\d.zip"):
        build_index(run, [*listings, more])


def changed(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ dice.randrange(1, 256)]) + data[at + 1 :]


def test_any_changed_byte_of_a_pack_is_found_and_named(run: Path) -> None:
    """600 single bytes anywhere: contents, lists, dates, comment. A report is given out whole or not at all."""
    dice, path = random.Random(20), run / pack_path(1)
    whole, entries = path.read_bytes(), [read_entry(line) for line in read_listing(run, 1)]
    lost = 0
    for _ in range(600):
        path.write_bytes(changed(whole, dice))
        with pytest.raises(DamagedError, match=r"packs/000001.zip is damaged.*--resume"):
            check_pack(run, 1)
        entry = dice.choice([entry for entry in entries if entry.status == MADE])
        try:
            assert read_report(run, entry) == report(entry.key, entry.format)
        except DamagedError:
            lost += 1
    assert 0 < lost < 600
    path.write_bytes(changed(whole, dice))
    assert [damage.path for damage in find_damage(run)] == [pack_path(1)]
    path.write_bytes(whole)
    assert list(find_damage(run)) == []


def test_any_changed_byte_of_the_index_is_found_and_cured(run: Path) -> None:
    """600 single bytes: the full check finds each, and a search for a user of that file answers right or says that it is damaged."""
    dice = random.Random(21)
    truth = {key: find_entries(run, key) for key in [*keys(90), *keys(300, 1000)]}
    told = 0
    for _ in range(600):
        bucket = dice.choice(BUCKETS)
        path = run / index_path(bucket)
        whole = path.read_bytes()
        path.write_bytes(changed(whole, dice))
        assert [damage.path for damage in check_index(run, [bucket])] == [index_path(bucket)]
        for key in [key for key in truth if report_stem(key).startswith(f"reports/{bucket}/")]:
            try:
                assert find_entries(run, key) == truth[key]
            except DamagedError as error:
                told += f"{index_path(bucket)} is damaged" in str(error)
        path.write_bytes(whole)
    assert told > 100
    path.write_bytes(b"")
    assert [damage.path for damage in check_index(run)] == [index_path(bucket)]
    rebuild_index(run)
    assert path.read_bytes() == whole


def one_file_index(run: Path) -> tuple[Path, list[str]]:
    """An index of which one file has 200 lines, so that most of them are not read in a search."""
    mine = sorted(
        f"aa{k:04}".replace("0", "q").replace("1", "r").replace("8", "s").replace("9", "t") + "z" * 18
        for k in range(200)
    )
    build_index(
        run, [[entry_line(Entry(key, "html", 0, f"{report_stem(key)}.html", 1, "0" * 64, MADE)) for key in mine]]
    )
    return run / index_path("00"), mine


def test_a_damaged_line_is_never_taken_for_an_unknown_user(tmp_path: Path) -> None:
    path, mine = one_file_index(tmp_path)
    whole, dice = path.read_bytes(), random.Random(22)
    silent = 0
    for _ in range(400):
        at = dice.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ dice.randrange(1, 256)]) + whole[at + 1 :])
        for key in dice.sample(mine, 10):
            try:
                assert [entry.key for entry in find_entries(tmp_path, key)] == [key]
                silent += 1
            except DamagedError:
                pass
    assert silent > 400  # far from the damage the index still serves


@pytest.mark.parametrize("cut", [0, 1, 50, 400, 5000])
def test_an_index_cut_off_is_never_taken_for_one_without_the_user(cut: int, tmp_path: Path) -> None:
    path, mine = one_file_index(tmp_path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for data in (whole[:cut], b"".join(lines[:-1]), whole + lines[-1]):
        path.write_bytes(data)
        for key in (mine[0], mine[-1]):
            with pytest.raises(DamagedError, match=r"index/00.jsonl is damaged"):
                find_entries(tmp_path, key)
    path.unlink()
    with pytest.raises(DamagedError, match=r"index/00.jsonl is missing; .*--resume"):
        find_entries(tmp_path, mine[0])


def damages() -> Iterator[tuple[str, bytes | None]]:
    whole = make_pack(1, keys(30, 30)).to_bytes()
    yield "missing", None
    yield "empty", b""
    yield "no ZIP", b"something else, long enough to hold a seal" * 9
    yield "cut off", whole[:-100]
    yield "cut in the middle", whole[: len(whole) // 2]
    yield "of another shard", make_pack(2, keys(30, 30)).to_bytes()
    yield "of another tool", _plain_zip()


def _plain_zip() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.html", b"x" * 200)
    return buffer.getvalue()


@pytest.mark.parametrize(("name", "data"), list(damages()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_pack_that_is_none_is_named_and_left_out_of_the_index(name: str, data: bytes | None, run: Path) -> None:  # noqa: ARG001
    path = run / pack_path(1)
    path.unlink() if data is None else path.write_bytes(data)
    assert [damage.path for damage in find_damage(run, range(3))] == [pack_path(1)]
    with pytest.raises(DamagedError, match=r"packs/000001.zip is (damaged|missing)"):
        read_listing(run, 1)
    rebuilt = rebuild_index(run)
    assert [damage.path for damage in rebuilt.damaged] == ([] if data is None else [pack_path(1)])
    assert all(find_entries(run, key) for key in keys(30) + keys(30, 60))
    assert not any(find_entries(run, key) for key in keys(30, 30))


def test_a_pack_damaged_in_one_report_still_gives_the_others(run: Path) -> None:
    path, before = run / pack_path(1), content(run)
    key = keys(30, 30)[4]
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo(f"{report_stem(key)}.html").header_offset + 90
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    (damage,) = find_damage(run)
    assert f"1 reports in it are lost, the first is {report_stem(key)}.html" in damage.reason
    assert rebuild_index(run).damaged == ()
    assert {name: data for name, data in content(run).items() if name != pack_path(1)} == {
        name: data for name, data in before.items() if name != pack_path(1)
    }
    html, json = find_entries(run, key)[:2]
    with pytest.raises(DamagedError, match=f"at {report_stem(key)}.html"):
        read_report(run, html)
    assert read_report(run, json) == report(key, "json")


def test_a_list_that_says_something_else_than_the_pack_is_no_way_in(run: Path) -> None:
    """An entry is only an address: what lies there must have the hash and the length of the entry."""
    entry = find_entries(run, keys(1)[0])[0]
    for wrong in ({"sha256": "0" * 64}, {"bytes": entry.bytes - 1}, {"bytes": entry.bytes + 1}, {"member": LISTING}):
        with pytest.raises(DamagedError, match=r"packs/000000.zip is damaged at"):
            read_report(run, Entry(**{**vars(entry), **wrong}))
    with pytest.raises(ValueError, match="checksum"):
        open_line(entry_line(entry).replace(b"html", b"json"))


def test_the_figures_of_packs_can_be_measured(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    measure = __import__("_packs")
    figures = measure.measure_writing(tmp_path, 60, 20) | measure.measure_index(tmp_path / "index", 400, looks=20)
    for name in ("packs", "groups", "folder"):
        assert figures[f"{name}/users_per_second"] > 0
    assert figures["packs/bytes_on_disk"] - figures["index/bytes_on_disk"] < figures["groups/bytes_on_disk"] / 2
