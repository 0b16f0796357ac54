"""A run is proven, and every way of changing it is found and named."""

from __future__ import annotations

import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealed import KINDS, call, edit, found, keys_of, make_inputs, manifest_of, relist, reports_of

from reportgen.audit import place
from reportgen.audit.dsse import read_public_key
from reportgen.audit.place import is_beside
from reportgen.audit.rawids import RawIds
from reportgen.audit.verify import verify_run
from reportgen.audit.verify_record import check_record
from reportgen.errors import InputError
from reportgen.report.pdf import render_pdf

Sealed = dict[str, Path]


@pytest.fixture
def run(sealed: Sealed, tmp_path: Path) -> Path:
    """A copy of a signed run of single files."""
    return Path(shutil.copytree(sealed["files"], tmp_path / "run", symlinks=True))


@pytest.fixture
def packed(sealed: Sealed, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed["packs"], tmp_path / "run", symlinks=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_proven(sealed: Sealed, kind: str) -> None:
    verdict = verify_run(sealed[kind], read_public_key(sealed["public"]), sealed["files"] if kind == "packs" else None)
    assert verdict.findings == []
    users = manifest_of(sealed[kind])["users"]
    assert verdict.facts["users"] == users["reported"] == verdict.facts["records_summed"]
    assert verdict.facts["reports"] == 2 * users["reported"]
    assert verdict.facts["signed_by"]
    assert verdict.notes == []


def test_files_and_packs_have_the_same_leaves_but_for_the_salts(sealed: Sealed) -> None:
    assert keys_of(sealed["files"]) == keys_of(sealed["packs"])
    salts = [(sealed[kind] / "audit/salts.bin").read_bytes() for kind in KINDS]
    assert salts[0] != salts[1]  # the settings differ, so the runs have two ids


def test_an_unsigned_run_says_so(sealed: Sealed, run: Path) -> None:
    (run / "audit/seal.dsse.json").unlink()
    assert "is missing" in found(run)
    edit(run, lambda plain: plain.update(outputs=[out for out in plain["outputs"] if "dsse" not in out["path"]]))
    verdict = verify_run(run)
    assert verdict.good
    assert "unsigned" in verdict.notes[0]
    assert "unsigned" in found(run, public_key=read_public_key(sealed["public"]))


def test_another_key_did_not_sign(run: Path, tmp_path: Path) -> None:
    assert call("keygen", "--out", tmp_path / "k", "--quiet") == 0
    other = read_public_key(tmp_path / "k" / "reportgen-signing.pub")
    assert "audit/seal.dsse.json: it is not a signature of the key" in found(run, public_key=other)


def test_the_chain(sealed: Sealed, packed: Path) -> None:
    assert found(packed, previous=sealed["files"]) == ""
    assert "is not the one in" in found(packed, previous=packed)
    assert "names no run before" in found(sealed["files"], previous=packed)
    assert "was not checked" in "".join(verify_run(packed).notes)


def swap(run: Path, first: str, second: str) -> None:
    """Exchange two files."""
    os.rename(run / first, run / "x")
    os.rename(run / second, run / first)
    os.rename(run / "x", run / second)


def test_removed_renamed_doubled_and_swapped_reports_are_named(run: Path) -> None:
    first, second, third, fourth, *_ = reports_of(run)
    (run / first).unlink()
    swap(run, second, third)
    shutil.copy(run / fourth, run / "reports" / "copy.json")
    told = found(run)
    assert f"{first}: is missing" in told
    assert f"{second}: holds the report that belongs at {third}" in told
    assert f"{third}: holds the report that belongs at {second}" in told
    assert f"reports/copy.json: is not listed in manifest.json: it is a copy of {fourth}" in told
    assert len(told.splitlines()) == 4


def test_a_renamed_report(run: Path) -> None:
    first = reports_of(run)[0]
    os.rename(run / first, run / "reports" / "00.json")
    assert f"reports/00.json: is not listed in manifest.json: it is {first} renamed" in found(run)


def forge(run: Path, path: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file and list it as it is now."""
    (run / path).write_bytes(change((run / path).read_bytes()))
    relist(run, path)


def test_who_also_writes_the_manifest_meets_the_leaf(run: Path) -> None:
    first, second = reports_of(run, "html")[:2]
    forge(run, first, lambda data: data + b" ")
    edit(run, lambda plain: plain.update(outputs=[out for out in plain["outputs"] if out["path"] != second]))
    (run / second).unlink()
    told = found(run)
    for path in (first, second):
        assert f"user {path[11:35]}: the reports" in told
    assert "not those that were sealed" in told


def test_who_also_writes_the_leaves_meets_the_root(run: Path) -> None:
    forge(run, "audit/leaves.bin", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    assert "give the root" in found(run)


def test_an_added_user_has_no_leaf(run: Path) -> None:
    first = reports_of(run)[0]
    new = first.replace(first[11:35], first[11:34] + ("a" if first[34] != "a" else "b"))
    shutil.copy(run / first, run / new)
    relist(run, new)
    told = found(run)
    assert "has reports but no leaf" in told
    assert "it is the record of" in told


def test_edited_settings_page_and_list_of_errors(run: Path) -> None:
    edit(run, lambda plain: plain["settings"]["options"].update(n=6))
    forge(run, "index.html", lambda page: page.replace(b"<h1>", b"<h1>Not "))
    forge(run, "errors.jsonl", lambda data: data + b'{"user": "x"}\n')
    told = found(run)
    assert "manifest.json: settings: is not what was sealed" in told
    assert "index.html: is not what was sealed" in told
    assert "errors.jsonl: is not what was sealed" in told
    assert "names 1 users, set aside were 0" in told


def test_a_line_of_the_page_cannot_speak_for_itself(run: Path) -> None:
    forge(run, "index.html", lambda page: page.replace(b"</a></li>", b"</a> <b>sold</b></li>", 1) if b"</a></li>" in page
          else page.replace(b"</a></li>", b""))  # fmt: skip
    assert "the line of this report says something else" in found(run)


def test_users_that_do_not_sum(run: Path) -> None:
    edit(run, lambda plain: plain["users"].update(opted_out=plain["users"]["opted_out"] + 1))
    told = found(run)
    assert "the parts do not sum" in told
    assert "manifest.json: users: is not what was sealed" in told


def test_links_and_strangers(run: Path) -> None:
    first, second = reports_of(run)[:2]
    (run / first).unlink()
    (run / first).symlink_to(run / second)
    (run / "reports" / "zz").symlink_to("/")
    (run / "note.txt").write_text("x")
    os.mkfifo(run / "pipe")
    told = found(run)
    assert f"{first}: is a symbolic link, planted" in told
    assert "reports/zz: is a symbolic link, planted" in told
    assert "note.txt: is not listed" in told
    assert "pipe: is no plain file" in told


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "reports/../../x", "a//b", "./x", "a\\b", "", "x" * 300, "a/../b", ".hidden"]
)
def test_paths_that_lead_elsewhere(run: Path, path: str) -> None:
    edit(run, lambda plain: plain["outputs"].append({"path": path, "sha256": "0" * 64, "bytes": 0, "media_type": ""}))
    assert "no path inside a run" in found(run)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda plain: plain.update(schema="reportgen.manifest/9"), "is of another version"),
        (lambda plain: plain.update(outputs=None), "outputs is missing"),
        (lambda plain: plain.pop("users"), "users is missing"),
        (lambda plain: plain["outputs"].append(plain["outputs"][0]), "twice"),
        (lambda plain: plain["outputs"][0].update(bytes=-1), "is no number"),
        (lambda plain: plain["outputs"][0].update(sha256="x"), "is no SHA-256"),
        (lambda plain: plain["outputs"].append(7), "has no path"),
    ],
)
def test_a_manifest_of_another_kind(run: Path, change: Callable[[dict[str, Any]], object], told: str) -> None:
    edit(run, change)
    assert told in found(run)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_no_manifest_at_all(run: Path, text: bytes) -> None:
    (run / "manifest.json").write_bytes(text)
    assert found(run).startswith("manifest.json")


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, [None], {"x": None}])
def test_any_odd_value_is_named_and_harms_nothing(run: Path, odd: object) -> None:
    whole = (run / "manifest.json").read_bytes()
    for name, value in manifest_of(run).items():
        if value != odd:
            edit(run, lambda plain, name=name: plain.update({name: odd}))  # type: ignore[misc]
            assert found(run) != "", name
            (run / "manifest.json").write_bytes(whole)


def test_a_huge_manifest_is_not_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.read_manifest, "__defaults__", (1000,))
    assert "more than the 1000 that are read" in found(run)


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished run"):
        verify_run(tmp_path)


def test_a_truncated_pack(packed: Path) -> None:
    pack = packed / "packs/000001.zip"
    pack.write_bytes(pack.read_bytes()[:-1000])
    told = found(packed)
    assert "packs/000001.zip: is not as it was written" in told
    assert "it is missing" in told  # the users in it, each


def repack(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Write a ZIP again, members changed or left out."""
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
        comment = archive.comment
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in members:
            if (new := change(info.filename, data)) is not None:
                archive.writestr(info, new)
        archive.comment = comment


def test_a_pack_with_a_changed_a_missing_or_an_added_report(packed: Path) -> None:
    names = zipfile.ZipFile(packed / "packs/000000.zip").namelist()
    first, second = names[1], names[3]
    repack(packed / "packs/000000.zip", lambda name, data: {first: data + b" ", second: None}.get(name, data))
    with zipfile.ZipFile(packed / "packs/000000.zip", "a") as archive:
        archive.writestr("reports/extra.html", b"x")
    relist(packed, "packs/000000.zip")
    told = found(packed)
    assert f"packs/000000.zip/{first}: is not as it was written" in told
    assert f"packs/000000.zip/{second}: is not as it was written" in told
    assert "holds other members than it lists" in told


def test_bytes_between_the_members_of_a_pack(packed: Path) -> None:
    pack = packed / "packs/000000.zip"
    pack.write_bytes(b"hidden" + pack.read_bytes())
    relist(packed, "packs/000000.zip")
    assert "bytes that belong to no report" in found(packed)


def test_an_index_of_another_run(packed: Path) -> None:
    lines = next(path for path in sorted(packed.glob("index/*.jsonl")) if path.read_bytes().count(b"\n") > 2)
    head, *rest = lines.read_bytes().splitlines(keepends=True)
    lines.write_bytes(head + b"".join(rest[1:]))
    relist(packed, lines.relative_to(packed).as_posix())
    assert "does not list what the packs hold" in found(packed)


@pytest.mark.parametrize("kind", KINDS)
def test_single_bytes(sealed: Sealed, kind: str, tmp_path: Path) -> None:
    run = Path(shutil.copytree(sealed[kind], tmp_path / "run", symlinks=True))
    paths = [out["path"] for out in manifest_of(run)["outputs"]] + ["manifest.json"]
    draw = random.Random(6)
    for _ in range(25):
        path = draw.choice(paths)
        data = (run / path).read_bytes()
        at = draw.randrange(len(data))
        (run / path).write_bytes(data[:at] + bytes([data[at] ^ draw.randrange(1, 256)]) + data[at + 1 :])
        told = found(run)
        (run / path).write_bytes(data)
        assert path in told, f"{path}, byte {at}"
    assert found(run) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_single_bytes_of_the_list_of_outputs(sealed: Sealed, kind: str, tmp_path: Path) -> None:
    """There every byte counts too: a length that is too great, a media type, a space."""
    run = Path(shutil.copytree(sealed[kind], tmp_path / "run", symlinks=True))
    data = (run / "manifest.json").read_bytes()
    start, draw = data.index(b'"outputs"'), random.Random(7)
    end = data.index(b'"packages"')
    for _ in range(40):
        at = draw.randrange(start, end)
        (run / "manifest.json").write_bytes(data[:at] + bytes([data[at] ^ draw.randrange(1, 256)]) + data[at + 1 :])
        assert "manifest.json" in found(run), at
    for old, new in ((b'"bytes": ', b'"bytes": 9'), (b"application/json", b"application/ld+j"), (b"}\n", b"}\n\n")):
        (run / "manifest.json").write_bytes(data.replace(old, new))
        assert found(run) != "", old


@pytest.mark.parametrize("kind", KINDS)
def test_raw_ids(sealed: Sealed, kind: str, tmp_path: Path) -> None:
    ids = [f"u{n:05}" for n in range(1, 50)]
    assert found(sealed[kind], ids=ids) == ""
    run = Path(shutil.copytree(sealed["files"], tmp_path / "run", symlinks=True))
    path = reports_of(run, "html")[0]
    forge(run, path, lambda data: data + b"<!-- u00007. -->")
    assert f"{path}: holds a raw id" in found(run, ids=ids)
    assert "so short" in "".join(verify_run(run, ids=["7", "2026"]).notes)


def test_raw_ids_are_found_inside_pdfs() -> None:
    """In drawn text, which is numbers of glyphs; in a title, an attachment and metadata; and nowhere by chance."""
    pages = {
        "drawn": "<p>Customer-000731 AVAVA</p>",
        "title": "<title>Customer-000731</title><p>x</p>",
        "address": '<p><a href="https://example.org/Customer-000731">x</a></p>',
        "none": "<p>Customer-000732</p>",
    }
    made = {name: render_pdf(f'<html lang="en"><body>{text}</body></html>') for name, text in pages.items()}
    made["attached"] = render_pdf(
        '<html lang="en"><title>t</title><meta name="dcterms.created" content="2026-01-01T00:00:00Z"><body>x</body></html>',
        attached=("d.json", "d", '{"a":"Customer-000731"}'),
    )
    found = {}
    for name, data in made.items():
        assert b"Customer-000731" not in data, name
        raw = RawIds(["Customer-000731"])
        raw.look(f"{name}.pdf", data)
        found[name] = bool(raw.findings)
    assert found == dict.fromkeys(made, True) | {"none": False}


def test_raw_ids_are_found_in_encoded_parts_of_a_mail() -> None:
    mail = EmailMessage()
    mail["Subject"] = "news"
    mail.set_content("客户 Customer-000731", cte="base64")
    data = mail.as_bytes()
    assert b"Customer-000731" not in data
    for one, there in (("Customer-000731", True), ("Customer-000732", False)):
        raw = RawIds([one])
        raw.look("a.eml", data)
        assert bool(raw.findings) is there


@settings(max_examples=200)
@given(
    st.sampled_from(["customer-0042", "a b c d", "客户一二三四", 'x"y<z>', "12345678"]),
    st.text("xyz 1.", max_size=30), st.text("xyz 1.", max_size=30), st.integers(1, 40),
)  # fmt: skip
def test_blocks_hide_no_id_and_invent_none(one: str, before: str, after: str, size: int) -> None:
    data = f"{before} {one}{after}".encode()
    whole, parts = RawIds([one]), RawIds([one])
    whole.look("p", data)
    feed = parts.reader("p")
    for start in range(0, len(data), size):
        feed(data[start : start + size])
    feed(b"")
    assert bool(whole.findings) == bool(parts.findings)


def test_ids_are_found_as_json_and_html_write_them() -> None:
    raw = RawIds(["客户 0042", 'a<b "c'])
    raw.look("a.json", b'{"x":"\\u5ba2\\u6237 0042"}')
    raw.look("a.html", b"<p>a&lt;b &quot;c</p>")
    assert len(raw.findings) == 2


def test_a_record_that_does_not_sum(sealed: Sealed) -> None:
    path = reports_of(sealed["files"])[0]
    record = json.loads((sealed["files"] / path).read_bytes())
    key = record["user"]
    assert check_record(json.dumps(record).encode(), key) is None
    assert "record of" in (check_record(json.dumps(record).encode(), "a" * 24) or "")
    record["recommendations"][1]["score"] += 2e-9
    assert "rank 2" in (check_record(json.dumps(record).encode(), key) or "")
    del record["recommendations"][0]["base"]
    assert "no record" in (check_record(json.dumps(record).encode(), key) or "")
    assert "no record" in (check_record(b"{", key) or "")


def test_the_same_bytes_when_made_again(sealed: Sealed, inputs: list[str], tmp_path: Path) -> None:
    assert call("build", *inputs, "--out", tmp_path / "again", "--quiet") == 0
    for path in ("audit/leaves.bin", "audit/salts.bin"):
        # the statement tells how long reports are kept, and who signed; leaves and salts know nothing of that
        assert (tmp_path / "again" / path).read_bytes() == (sealed["files"] / path).read_bytes()


def test_one_user_is_proven_too(tmp_path: Path) -> None:
    words = make_inputs(tmp_path, 3)
    assert call("build", *words, "--out", tmp_path / "run", "--limit", "1", "--quiet") == 0
    verdict = verify_run(tmp_path / "run")
    assert verdict.good
    assert verdict.facts["users"] == 1


def test_what_may_lie_beside() -> None:
    assert is_beside("run_status.json")
    assert is_beside("audit/.erasing.json.0123abcd.part")
    assert not is_beside("audit/other.json")


def every_name(run: Path) -> Iterator[str]:
    yield from (path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())


def test_every_file_is_listed_or_beside(sealed: Sealed) -> None:
    listed = {out["path"] for out in manifest_of(sealed["files"])["outputs"]}
    assert [path for path in every_name(sealed["files"]) if path not in listed and not is_beside(path)] == []
