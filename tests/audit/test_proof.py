"""Keys, signatures that others can check, and proofs that a stranger's script checks."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sealed import call, keys_of, manifest_of

from reportgen.audit.dsse import SignatureError, envelope, find_signer, make_keys, open_envelope, read_public_key
from reportgen.audit.erase import erase_users
from reportgen.audit.proof import make_proof
from reportgen.errors import ConfigError, InputError

Sealed = dict[str, Path]


def silent(_: str) -> None:
    """Take a note."""


def test_keys_are_for_their_owner(tmp_path: Path) -> None:
    private, public, _ = make_keys(tmp_path / "k")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"PRIVATE" not in public.read_bytes()
    with pytest.raises(ConfigError, match="is there already"):
        make_keys(tmp_path / "k")


def test_a_key_that_others_read_is_told(tmp_path: Path) -> None:
    private, _, key_id = make_keys(tmp_path)
    notes: list[str] = []
    signer = find_signer(private, {}, notes.append)
    assert notes == []
    assert signer is not None
    assert signer.key_id == key_id
    private.chmod(0o644)
    find_signer(private, {}, notes.append)
    assert "can be read by others (mode 0644)" in notes[0]


def test_keys_from_the_environment(tmp_path: Path) -> None:
    private, _, key_id = make_keys(tmp_path)
    for told in (str(private), private.read_text()):
        signer = find_signer(None, {"REPORTGEN_SIGNING_KEY": told}, silent)
        assert signer is not None
        assert signer.key_id == key_id
    assert find_signer(None, {}, silent) is None


def test_wrong_keys_are_told(tmp_path: Path) -> None:
    private, public, _ = make_keys(tmp_path)
    (tmp_path / "x").write_text("no key")
    for path, told in (
        (public, "public half"),
        (tmp_path / "x", "no private key"),
        (tmp_path / "none", "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=told):
            find_signer(path, {}, silent)
    for path, told in (
        (private, "no public key"),
        (tmp_path / "x", "no public key"),
        (tmp_path / "none", "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=told):
            read_public_key(path)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"payloadType": "x", "payload": "", "signatures": []}'])
def test_no_envelope(data: bytes) -> None:
    with pytest.raises(SignatureError, match="no envelope"):
        open_envelope(data)


def test_securesystemslib_opens_it(sealed: Sealed) -> None:
    dsse = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    plain = json.loads((sealed["files"] / "audit/seal.dsse.json").read_bytes())
    raw = read_public_key(sealed["public"]).public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    key = signer.SSlibKey(plain["signatures"][0]["keyid"], "ed25519", "ed25519", {"public": raw})
    opened = dsse.Envelope.from_dict(plain)
    assert list(opened.verify([key], 1)) == [key.keyid]
    assert json.loads(opened.payload)["_type"] == "https://in-toto.io/Statement/v1"
    opened.payload += b" "
    with pytest.raises(Exception, match=r"(?i)threshold|verif"):
        opened.verify([key], 1)


def test_openssl_checks_it(sealed: Sealed, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("apt-get install openssl")
    payload, [(_, signature)] = open_envelope((sealed["files"] / "audit/seal.dsse.json").read_bytes())
    (tmp_path / "sig").write_bytes(signature)
    for data, code in ((payload, 0), (payload + b" ", 1)):
        (tmp_path / "signed").write_bytes(b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(data), data))
        told = ("pkeyutl", "-verify", "-pubin", "-inkey", sealed["public"], "-rawin", "-in", tmp_path / "signed")
        done = subprocess.run([openssl, *told, "-sigfile", tmp_path / "sig"], capture_output=True, check=False)
        assert done.returncode == code


def test_sign_later(sealed: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(sealed["files"], tmp_path / "run"))
    make_keys(tmp_path / "other")
    assert call("sign", run) == 1
    assert "no key to sign with" in capsys.readouterr().err
    assert call("sign", run, "--signing-key", tmp_path / "other" / "reportgen-signing.key") == 0
    assert call("verify", run, "--public-key", tmp_path / "other" / "reportgen-signing.pub") == 0
    assert call("verify", run, "--public-key", sealed["public"]) == 1
    (run / "audit/statement.json").write_bytes(b"{}")
    assert call("sign", run, "--signing-key", sealed["private"]) == 1
    assert "not as it was written" in capsys.readouterr().err


def test_the_same_payload_is_signed_the_same(tmp_path: Path) -> None:
    signer = find_signer(make_keys(tmp_path)[0], {}, silent)
    assert signer is not None
    assert envelope(b"x", signer) == envelope(b"x", signer)


def check(repository: Path, proof: Path, root: str, *reports: Path) -> str:
    """What the stranger's script says, run by an interpreter that has nothing but its standard library, asserts off."""
    words = [sys.executable, "-I", "-O", str(repository / "docs/verify_proof.py"), str(proof), root, *map(str, reports)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()


def test_a_strangers_script(sealed: Sealed, repository: Path, tmp_path: Path) -> None:
    run, root = sealed["files"], manifest_of(sealed["files"])["merkle"]["root"]
    key, other = keys_of(run)[-1], keys_of(run)[0]  # the last leaf of an odd tree has the oddest way up
    file = tmp_path / "proof.json"
    proof = make_proof(run, key)
    reports = sorted(run.glob(f"reports/*/{key}.*"))

    def told(change: dict[str, object], *files: Path, under: str = root) -> str:
        file.write_text(json.dumps(proof | change))
        return check(repository, file, under, *(files or reports))

    assert told({}) == "proven"
    assert told({}, reports[0]) == "proven"
    assert "not those of the proof" in told({}, *run.glob(f"reports/*/{other}.*"))
    assert "does not lead to the root" in told({}, under="0" * 64)
    assert "of another user" in told({"user": other})
    for change in ({"salt": "00" * 16}, {"index": proof["index"] - 1}, {"path": proof["path"][:-1]},
                   {"path": [*proof["path"], "00" * 32]}, {"leaves": proof["leaves"] * 2}, {"index": -1}, {"leaves": 0},
                   {"path": []}, {"path": None}, {"salt": "x"}):  # fmt: skip
        assert told(change).startswith("not proven: "), change
    assert told({"reports": dict.fromkeys(proof["reports"], "0" * 64)}).startswith("not proven: ")


@pytest.mark.parametrize("kind", ["files", "packs"])
def test_proofs_of_all(sealed: Sealed, kind: str) -> None:
    from hashlib import sha256

    from reportgen.audit.merkle import root_of_path

    keys = keys_of(sealed[kind])
    for key in keys[:: max(1, len(keys) // 10)]:
        proof = make_proof(sealed[kind], key)
        listed = "".join(f"{digest}  {path}\n" for path, digest in sorted(proof["reports"].items()))
        leaf = sha256(b"\0" + bytes.fromhex(proof["salt"]) + sha256(listed.encode()).digest()).digest()
        way = [bytes.fromhex(step) for step in proof["path"]]
        assert root_of_path(leaf, proof["index"], proof["leaves"], way).hex() == proof["root"]


def test_proofs_of_nobody(sealed: Sealed, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no leaf"):
        make_proof(sealed["files"], "a" * 24)
    with pytest.raises(InputError, match="is not a key"):
        make_proof(sealed["files"], "user 1")
    run = Path(shutil.copytree(sealed["files"], tmp_path / "run"))
    key = keys_of(run)[0]
    erase_users(run, [key], "2026-07-01T00:00:00Z")
    proof = make_proof(run, key)
    assert proof["erased"]
    assert "salt" not in proof


def test_on_the_command_line(sealed: Sealed, capsys: pytest.CaptureFixture[str]) -> None:
    key = keys_of(sealed["packs"])[1]
    assert call("verify", sealed["packs"], "--by-key", "--user", key, "--public-key", sealed["public"]) == 0
    assert json.loads(capsys.readouterr().out)["user"] == key
    assert call("verify", sealed["packs"], "--json") == 0
    assert json.loads(capsys.readouterr().out)["verified"] is True
