"""Erasing: the person goes, the proof stays, and a kill at any moment leaves something that can be finished."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from sealed import KINDS, call, edit, found, keys_of, manifest_of, relist

from reportgen.audit.dsse import find_signer, read_public_key
from reportgen.audit.erase import erase_users
from reportgen.audit.purge import purge_run
from reportgen.audit.register import Register
from reportgen.audit.verify import verify_run
from reportgen.batch.get import find_report
from reportgen.errors import ConfigError, InputError

Sealed = dict[str, Path]
WHEN = "2026-07-01T00:00:00Z"


@pytest.fixture
def run(sealed: Sealed, kind: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed[kind], tmp_path / "run", symlinks=True))


def holding(run: Path, key: str) -> set[str]:
    """Files that hold a key in their name or in their bytes, packs unpacked."""
    places = set()
    for path in (path for path in run.rglob("*") if path.is_file()):
        name = path.relative_to(run).as_posix()
        data = path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                data = b"".join(archive.read(one) + one.encode() for one in archive.namelist())
        if key.encode() in data or key in name:
            places.add(name.partition("/")[0] if name.startswith("reports") else name)
    return places


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_is_gone_and_the_run_still_proven(sealed: Sealed, run: Path) -> None:
    key = keys_of(run)[3]
    before = (run / "audit/leaves.bin").read_bytes()
    assert holding(run, key) & {"reports", "packs/000000.zip", "packs/000001.zip"}
    (run / "audit/audit.json").write_text(f'{{"case": "{key}"}}')  # an audit report may show a case of anybody
    erased = erase_users(run, [key], WHEN)
    assert (erased.keys, erased.reports) == ((key,), 2)
    assert holding(run, key) - set(erased.named) == {"erasures.jsonl"}
    assert all(path.startswith(("statistics/", "audit/statistics")) for path in erased.named)
    assert (run / "audit/leaves.bin").read_bytes() == before
    verdict = verify_run(run, read_public_key(sealed["public"]))
    assert verdict.findings == []
    assert verdict.facts["erased"] == 1
    assert "1 users were erased; 0 of 1 lines are signed" in verdict.notes


@pytest.mark.parametrize("kind", KINDS)
def test_all_but_one_and_then_the_last(run: Path) -> None:
    keys = keys_of(run)
    erase_users(run, keys[1:], WHEN)
    assert found(run) == ""
    erase_users(run, keys[:1], WHEN)
    verdict = verify_run(run)
    assert verdict.findings == []
    assert (verdict.facts["erased"], verdict.facts["reports"]) == (len(keys), 0)


@pytest.mark.parametrize("kind", ["files"])
def test_on_the_command_line(sealed: Sealed, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user = (sealed["files"].parent / "users.csv").read_text().splitlines()[1].split(",")[0]
    assert call("forget", run, user, "--signing-key", sealed["private"]) == 0
    key = capsys.readouterr().out.splitlines()[0]
    assert key in (run / "erasures.jsonl").read_text()
    assert call("verify", run, "--public-key", sealed["public"]) == 0
    assert "1 of 1 lines are signed" in capsys.readouterr().out
    assert call("forget", run, user) == 1
    assert "was erased already" in capsys.readouterr().err
    assert call("get", run, user) == 1
    told, line = capsys.readouterr().err, json.loads((run / "erasures.jsonl").read_text())
    assert f"the report of {key} was erased on {line['erased_at']}; see erasures.jsonl" in told
    assert call("get", run, "somebody else") == 1
    assert "is not known in this run" in capsys.readouterr().err
    assert call("forget", run, "nobody") == 1
    assert "nothing to erase" in capsys.readouterr().err
    assert call("forget", run, "KEY", "--by-key") == 1
    assert "is not a key" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["files"])
def test_the_register_cannot_be_forged(sealed: Sealed, run: Path) -> None:
    signer = find_signer(sealed["private"], {}, lambda _: None)
    public = read_public_key(sealed["public"])
    first, second, *_ = keys_of(run)
    erase_users(run, [first], WHEN, signer)
    lines = (run / "erasures.jsonl").read_text()
    (run / "erasures.jsonl").write_text(lines.replace(WHEN, "2027-07-01T00:00:00Z"))
    relist(run, "erasures.jsonl")
    assert "is not signed by this key" in found(run, public_key=public)
    (run / "erasures.jsonl").write_text(lines + lines)
    relist(run, "erasures.jsonl")
    assert "twice" in found(run)
    (run / "erasures.jsonl").write_text(
        lines + json.dumps({"run_id": "x", "key": second, "erased_at": WHEN, "formats": []}) + "\n"
    )
    relist(run, "erasures.jsonl")
    told = found(run)
    assert "of another run" in told
    (run / "erasures.jsonl").unlink()
    edit(run, lambda plain: plain.update(outputs=[out for out in plain["outputs"] if out["path"] != "erasures.jsonl"]))
    assert f"user {first}: no report, though the tree has a leaf: its salt is gone too" in found(run)
    for wrong in (b"{", b"[]\n", b'{"run_id": "x"}\n', b'{"run_id":"x","key":"y","erased_at":""}\n'):
        (run / "erasures.jsonl").write_bytes(wrong)
        assert "is damaged" in found(run)


@pytest.mark.parametrize("kind", ["files"])
def test_a_report_that_comes_back(run: Path) -> None:
    key = keys_of(run)[0]
    path = next(out["path"] for out in manifest_of(run)["outputs"] if key in out["path"])
    data = (run / path).read_bytes()
    erase_users(run, [key], WHEN)
    (run / path).write_bytes(data)
    assert f"{path}: is not listed" in found(run)
    relist(run, path)
    assert "was erased, but has reports again" in found(run)


CALLS = ("replace", "unlink", "fsync")


def killed(run: Path, keys: list[str], ordinal: int) -> bool:
    """Erase in another process, which dies before the n-th call that changes the disk; return whether it died."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = ordinal

    def dying(real):  # type: ignore[no-untyped-def]
        def call(*given, **named):  # type: ignore[no-untyped-def]
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            return real(*given, **named)

        return call

    for name in CALLS:
        setattr(os, name, dying(getattr(os, name)))
    try:
        erase_users(run, keys, WHEN)
    except BaseException:
        os._exit(1)
    os._exit(0)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ["files", pytest.param("packs", marks=pytest.mark.slow)])
def test_killed_at_any_moment(few: Sealed, kind: str, tmp_path: Path) -> None:
    run, ordinal, begun = tmp_path / "run", 0, 0
    key = keys_of(few[kind])[5]
    while True:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(few[kind], run, symlinks=True)
        if not killed(run, [key], ordinal):
            break
        told = found(run)
        if told:
            begun += 1
            assert told.startswith("audit/erasing.json: an erasure was begun and not finished")
        register = run / "erasures.jsonl"
        done = register.exists() and not told
        assert done == (not told and key in Register.read(register.read_bytes() if register.exists() else None).keys)
        if not done:
            erase_users(run, [key], WHEN)
        verdict = verify_run(run)
        assert verdict.findings == [], ordinal
        assert verdict.facts["erased"] == 1
        assert not list(run.rglob("*.part"))
        ordinal += 1
    assert begun >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_purge(sealed: Sealed, run: Path) -> None:
    keys = keys_of(run)
    erase_users(run, keys[:1], WHEN)
    with pytest.raises(ConfigError, match="is kept until 2026-08-01"):
        purge_run(run, WHEN)
    purge_run(run, "2026-08-01T00:00:00Z")
    assert all(holding(run, key) == set() for key in keys[1:])
    assert holding(run, keys[0]) == {"erasures.jsonl"}
    verdict = verify_run(run, read_public_key(sealed["public"]))
    assert verdict.findings == []
    assert verdict.facts["root"] == manifest_of(run)["merkle"]["root"]
    with pytest.raises(InputError, match="all reports of this run were erased on 2026-08-01T00:00:00Z"):
        find_report(run, keys[1], "json")
    with pytest.raises(InputError, match="was purged"):
        purge_run(run, "2026-09-01T00:00:00Z")
    with pytest.raises(InputError, match="was purged"):
        erase_users(run, keys[1:2], WHEN)
    lines = (run / "erasures.jsonl").read_text()
    (run / "erasures.jsonl").write_text(lines.replace("2026-08-01T", "2026-07-31T"))
    relist(run, "erasures.jsonl")
    assert "before its retention was over" in found(run)


@pytest.mark.parametrize("kind", ["files"])
def test_no_retention_no_purge(run: Path) -> None:
    edit(run, lambda plain: plain.update(retention_until=None))
    with pytest.raises(ConfigError, match="names no retention"):
        purge_run(run, WHEN)


@pytest.mark.parametrize("kind", ["files"])
def test_a_run_with_erasures_is_not_mended(run: Path, inputs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *_ = keys_of(run)
    erase_users(run, [first], WHEN)
    words = ("build", *inputs, "--out", run, "--resume", "--quiet", "--retention-until", "2026-08-01")
    assert call(*words) == 0  # it is whole: nothing is made
    assert found(run) == ""
    next(run.glob(f"reports/*/{second}.html")).write_bytes(b"x")
    assert call(*words) == 1
    assert "cannot be mended" in capsys.readouterr().err
    assert not list(run.glob(f"reports/*/{first}.*"))
