"""The seal of an audit PDF before tools that know nothing of us, with keys made here; and everything that must not be sealed with."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from asn1crypto.x509 import Certificate
from certificates import FROM, KINDS, OWNER, SHOP, UNTIL, issue, keep, pem, private
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    pkcs12,
)
from pyhanko.pdf_utils.generic import pdf_string
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation import SignatureCoverageLevel, async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from sealed import call

from reportgen.audit.pdf_key import Sealer, read_sealer
from reportgen.audit.pdf_seal import FIELD, seal_pdf
from reportgen.errors import ConfigError
from reportgen.report.pdf import render_pdf

WHEN = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
PAGE = (
    '<!DOCTYPE html><html lang="en"><head><title>Audit</title><meta name="dcterms.created" content="2026-06-01T00:00:00Z">'
    "</head><body><h1>Audit</h1><p>One finding.</p></body></html>"
)
DATA = '{"finding": 1}'
Said = Callable[[bytes], str]


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    """A key of each kind, and that of an authority."""
    return {"root": KINDS["p256"]()} | {kind: make() for kind, make in KINDS.items()}


@pytest.fixture(scope="module")
def root(keys: dict[str, Any]) -> x509.Certificate:
    return issue(OWNER, keys["root"], OWNER, keys["root"], authority=True)


@pytest.fixture(scope="module")
def sealers(keys: dict[str, Any], root: x509.Certificate) -> dict[str, Sealer]:
    return {kind: Sealer(keys[kind], issue(SHOP, keys[kind], OWNER, keys["root"]), (root,), kind) for kind in KINDS}


@pytest.fixture(scope="module")
def paper() -> bytes:
    """A small PDF, made as the audit report is."""
    return render_pdf(PAGE, attached=("audit.json", "reportgen.audit/1", DATA))


@pytest.fixture(scope="module")
def pdfsig(need_tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What ``pdfsig`` of poppler says of a file."""
    program = need_tool("pdfsig", "apt-get install poppler-utils")
    path = tmp_path_factory.mktemp("pdfsig") / "a.pdf"

    def said(data: bytes) -> str:
        path.write_bytes(data)
        done = subprocess.run(
            [program, "-nocert", path], capture_output=True, text=True, check=False, env={"TZ": "UTC"}
        )
        return done.stdout

    return said


def status(data: bytes, root: x509.Certificate, moment: datetime = WHEN) -> Any:
    """What the validator of pyHanko finds, which trusts `root` alone and asks nobody."""
    trusted = Certificate.load(root.public_bytes(Encoding.DER))
    context = ValidationContext(trust_roots=[trusted], moment=moment, allow_fetching=False)
    (signature,) = PdfFileReader(io.BytesIO(data)).embedded_signatures
    return asyncio.run(async_validate_pdf_signature(signature, context))


# --- what others say


@pytest.mark.parametrize("kind", KINDS)
def test_public_tools_accept_the_seal(
    kind: str, paper: bytes, sealers: dict[str, Sealer], root: x509.Certificate, pdfsig: Said
) -> None:
    sealed = seal_pdf(paper, sealers[kind], WHEN)
    told = pdfsig(sealed)
    assert "Signature is Valid." in told
    assert "Total document signed" in told
    assert f"Certificate Common Name: {SHOP}" in told
    assert "Signing Time: Jun 01 2026 12:30:00" in told
    assert "Signature Type: ETSI.CAdES.detached" in told
    found = status(sealed, root)
    assert found.bottom_line
    assert found.trusted
    assert found.coverage == SignatureCoverageLevel.ENTIRE_FILE
    assert found.modification_level == ModificationLevel.NONE
    assert found.signer_reported_dt == WHEN


def test_openssl_alone_checks_the_seal(
    paper: bytes,
    sealers: dict[str, Sealer],
    root: x509.Certificate,
    need_tool: Callable[[str, str], str],
    tmp_path: Path,
) -> None:
    """As `docs/verify.md` says it: the bytes but for the gap are what is signed, and the gap holds a CAdES signature."""
    sealed = seal_pdf(paper, sealers["p384"], WHEN)
    _, gap, end, _ = map(int, re.findall(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\]", sealed)[0])
    signed = keep(tmp_path / "signed", sealed[:gap] + sealed[end:])
    words = [need_tool("openssl", "apt-get install openssl"), "cms", "-verify", "-binary", "-cades", "-purpose", "any"]
    words += ["-inform", "DER", "-in", keep(tmp_path / "seal.der", bytes.fromhex(sealed[gap + 1 : end - 1].decode()))]
    words += ["-content", signed, "-CAfile", keep(tmp_path / "root.pem", pem(root)), "-out", tmp_path / "out"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    signed.write_bytes(signed.read_bytes() + b" ")
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0


def test_what_is_sealed_stays_byte_for_byte(paper: bytes, sealers: dict[str, Sealer]) -> None:
    sealed = seal_pdf(paper, sealers["rsa"], WHEN)
    assert sealed.startswith(paper)
    with pikepdf.open(io.BytesIO(paper)) as before, pikepdf.open(io.BytesIO(sealed)) as after:
        assert after.attachments["audit.json"].get_file().read_bytes() == DATA.encode()
        assert after.Root.Metadata.read_bytes() == before.Root.Metadata.read_bytes()
        assert dict(after.docinfo) == dict(before.docinfo)
        (field,) = after.Root.AcroForm.Fields
        assert (str(field.T), str(field.FT)) == (FIELD, "/Sig")
        assert after.Root.Perms.DocMDP.objgen == field.V.objgen
        left, low, right, high = map(float, field.Rect)
        assert left == right < 0  # no size, and outside the page
        assert low == high < 0
        assert int(field.F) & 0b111 == 0b100  # printed, as PDF/A wants it, and not hidden


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_report_gets_the_same_seal(kind: str, paper: bytes, sealers: dict[str, Sealer]) -> None:
    once = seal_pdf(paper, sealers[kind], WHEN)
    assert seal_pdf(paper, sealers[kind], WHEN) == once
    assert seal_pdf(paper, sealers[kind], WHEN.replace(second=1)) != once


def test_no_clock_gets_in(paper: bytes, sealers: dict[str, Sealer]) -> None:
    sealed = seal_pdf(paper, sealers["p256"], WHEN)
    assert re.findall(rb"D(?::|\\072)(\d{14}Z?)", sealed[len(paper) :]) == [b"20260601123000Z"]
    assert b"/Metadata" not in re.sub(rb"/Metadata \d+ 0 R", b"", sealed[len(paper) :])


def test_sealing_works_where_a_loop_of_events_runs(paper: bytes, sealers: dict[str, Sealer]) -> None:
    async def inside() -> bytes:
        return seal_pdf(paper, sealers["rsa"], WHEN)

    assert asyncio.run(inside()) == seal_pdf(paper, sealers["rsa"], WHEN)


# --- negative controls


@pytest.mark.parametrize("where", ["page", "date", "end"])
def test_one_changed_byte_is_seen(
    where: str, paper: bytes, sealers: dict[str, Sealer], root: x509.Certificate, pdfsig: Said
) -> None:
    sealed = bytearray(seal_pdf(paper, sealers["rsa"], WHEN))
    at = {"page": sealed.index(b"stream") + 12, "date": sealed.index(b"20260601123000Z") + 3, "end": len(sealed) - 1}[
        where
    ]
    sealed[at] ^= 1
    assert "Signature is Valid" not in pdfsig(bytes(sealed))
    if where != "end":  # the last byte belongs to %%EOF, without which pyHanko reads nothing at all
        found = status(bytes(sealed), root)
        assert not found.bottom_line
        assert not found.intact


def test_what_is_added_afterwards_is_seen(
    paper: bytes, sealers: dict[str, Sealer], root: x509.Certificate, pdfsig: Said
) -> None:
    writer = IncrementalPdfFileWriter(io.BytesIO(seal_pdf(paper, sealers["rsa"], WHEN)))
    writer.root["/Lang"] = pdf_string("zh")
    writer.update_root()
    writer.write(out := io.BytesIO())
    assert "Not total document signed" in pdfsig(out.getvalue())
    assert not status(out.getvalue(), root).bottom_line


def test_a_key_that_is_not_of_the_certificate_makes_no_valid_seal(
    paper: bytes, sealers: dict[str, Sealer], root: x509.Certificate, pdfsig: Said
) -> None:
    forged = seal_pdf(paper, replace(sealers["rsa"], key=KINDS["rsa"]()), WHEN)
    assert "Signature is Valid" not in pdfsig(forged)
    assert not status(forged, root).valid


def test_a_certificate_that_ended_is_not_trusted(
    paper: bytes, keys: dict[str, Any], sealers: dict[str, Sealer], root: x509.Certificate
) -> None:
    old = issue(SHOP, keys["rsa"], OWNER, keys["root"], FROM, WHEN.replace(month=5))
    found = status(seal_pdf(paper, replace(sealers["rsa"], certificate=old), WHEN), root)
    assert found.intact
    assert not found.bottom_line
    later = seal_pdf(paper, sealers["rsa"], WHEN)
    assert status(later, root).bottom_line
    assert not status(later, root, UNTIL.replace(year=2047)).bottom_line


def test_a_certificate_of_another_authority_is_not_trusted(paper: bytes, sealers: dict[str, Sealer]) -> None:
    key = KINDS["p256"]()
    found = status(seal_pdf(paper, sealers["p256"], WHEN), issue(OWNER, key, OWNER, key, authority=True))
    assert found.intact
    assert not found.trusted


# --- keys and certificates from files


def test_a_key_and_its_certificates_in_every_form(
    tmp_path: Path, keys: dict[str, Any], sealers: dict[str, Sealer], root: x509.Certificate
) -> None:
    key, own = keys["rsa"], sealers["rsa"].certificate
    lock = BestAvailableEncryption(b"p\xc3\xa4ss")
    forms = [
        (private(key), pem(own, root), None),
        (private(key), pem(root, own), None),  # in any order
        (private(key) + pem(own, root), None, None),
        (private(key, b"p\xc3\xa4ss"), pem(own, root), b"p\xc3\xa4ss"),
        (private(key), pem(own, root), b"not needed"),
        (pkcs12.serialize_key_and_certificates(b"x", key, own, [root], lock), None, b"p\xc3\xa4ss"),
        (pkcs12.serialize_key_and_certificates(b"x", key, own, None, lock), pem(root), b"p\xc3\xa4ss"),
        (pkcs12.serialize_key_and_certificates(b"x", key, own, [root], NoEncryption()), None, None),
    ]
    for data, certificates, secret in forms:
        path = keep(tmp_path / "key", data)
        named = None if certificates is None else keep(tmp_path / "certificates.pem", certificates)
        told: list[str] = []
        found = read_sealer(path, named, secret, told.append)
        assert (found.certificate, found.chain, told) == (own, (root,), [])
        assert found.key.private_numbers() == key.private_numbers()
        assert "private" not in repr(found).lower()


REFUSED = [
    ("secret", "the key has a pass phrase; name a file that holds it with --pdf-pass, or set REPORTGEN_PDF_PASS"),
    ("wrong", "or the pass phrase is wrong"),
    ("p12", "or the pass phrase is wrong"),
    ("noise", "it is not a private key as PEM or PKCS#12, or the key has a pass phrase; name a file"),
    ("p12 secret", "it is not a private key as PEM or PKCS#12, or the key has a pass phrase; name a file"),
    ("public", "the key cannot be opened (it is not a private key as PEM)"),
    ("other", "no certificate is of the key in"),
    ("none", "there is no certificate of the key in"),
    ("empty", "no certificate as PEM"),
    ("short", "sealed with RSA of at least 2048 bits, P-256, P-384 or P-521, not with RSA of 1024 bits"),
    ("ed25519", "not with Ed25519"),
    ("koblitz", "not with the curve secp256k1"),
    ("agrees", "the certificate is not for signatures (its key usage)"),
    ("absent", "the key cannot be read (No such file or directory); name another with --pdf-key"),
    ("absent cert", "the certificate cannot be read (No such file or directory); name another with --pdf-cert"),
]


@pytest.mark.parametrize(("what", "told"), REFUSED)
@pytest.mark.filterwarnings("ignore:RSA key sizes:UserWarning")
def test_what_cannot_seal_is_one_line(
    what: str, told: str, tmp_path: Path, keys: dict[str, Any], sealers: dict[str, Sealer]
) -> None:
    key, own = keys["rsa"], sealers["rsa"].certificate
    odd = {"ed25519": ed25519.Ed25519PrivateKey.generate, "koblitz": lambda: ec.generate_private_key(ec.SECP256K1())}
    odd["short"] = lambda: rsa.generate_private_key(65537, 1024)
    bundle = pkcs12.serialize_key_and_certificates(b"x", key, own, None, BestAvailableEncryption(b"secret"))
    data = {
        "secret": private(key, b"secret"),
        "wrong": private(key, b"secret"),
        "p12": bundle,
        "p12 secret": bundle,
        "noise": b"\x30\x82noise",
        "public": pem(own),
    }.get(what) or private(odd[what]() if what in odd else key)
    certificates = {
        "other": pem(sealers["p256"].certificate),
        "empty": b"",
        "agrees": pem(issue(SHOP, key, OWNER, keys["root"], signs=False)),
    }.get(what, pem(own))
    path = tmp_path / "nowhere" if what == "absent" else keep(tmp_path / "key", data)
    named = tmp_path / "nowhere" if what == "absent cert" else keep(tmp_path / "own.pem", certificates)
    secret = b"wrong" if what in ("wrong", "p12") else None
    with pytest.raises(ConfigError, match=re.escape(told)) as raised:
        read_sealer(path, None if what == "none" else named, secret, print)
    assert "\n" not in str(raised.value)
    assert str(tmp_path) in str(raised.value)


def test_a_renewed_certificate_is_taken(tmp_path: Path, keys: dict[str, Any], root: x509.Certificate) -> None:
    old, new = (issue(SHOP, keys["p256"], OWNER, keys["root"], FROM, UNTIL.replace(year=year)) for year in (2030, 2040))
    for order in ((old, new), (new, old)):
        path = keep(tmp_path / "key", private(keys["p256"]) + pem(*order, root))
        assert read_sealer(path, None, None, print).certificate == new


def test_a_key_that_others_can_read_draws_the_usual_warning(tmp_path: Path, sealers: dict[str, Sealer]) -> None:
    told: list[str] = []
    path = keep(tmp_path / "key", private(sealers["rsa"].key) + pem(sealers["rsa"].certificate), 0o644)
    read_sealer(path, None, None, told.append)
    assert told == [f"{path} can be read by others (mode 0644); chmod 600 it, and make a new key if it leaked"]


def test_a_certificate_is_valid_to_the_second(sealers: dict[str, Sealer]) -> None:
    for when, fits in ((FROM, True), (UNTIL, True), (FROM.replace(year=2025), False), (UNTIL.replace(second=1), False)):
        if fits:
            sealers["rsa"].check(when, "")
        else:
            with pytest.raises(ConfigError, match=r"rsa: the certificate is valid from 2026-01-01T00:00:00Z to"):
                sealers["rsa"].check(when, "")


def test_without_pyhanko_the_line_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyhanko", None)
    for name in [name for name in sys.modules if name.startswith("pyhanko.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "reportgen.audit.pdf_seal")
    with pytest.raises(ConfigError, match=r"pip install 'reportgen\[pdfseal\]'"):
        __import__("reportgen.audit.pdf_seal")


# --- the verb


@pytest.fixture(scope="module")
def bare(audited: Callable[[str], Path]) -> Path:
    """A run of one user, as of a day in 2026."""
    return audited("bare")


@pytest.fixture
def files(tmp_path: Path, sealers: dict[str, Sealer]) -> tuple[Path, Path]:
    one = sealers["p256"]
    return keep(tmp_path / "key", private(one.key, b"open")), keep(
        tmp_path / "own.pem", pem(one.certificate, *one.chain)
    )


def test_the_verb_seals_with_the_time_of_the_run(
    bare: Path, tmp_path: Path, files: tuple[Path, Path], pdfsig: Said, root: x509.Certificate,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    key, own = files
    words = ("audit", bare, "--format", "pdf", "--pdf-key", key, "--pdf-cert", own, "--out")
    phrase = keep(tmp_path / "pass", b"open\r\nanything else\n")
    assert call(*words, tmp_path / "a", "--pdf-pass", phrase) == 0
    said = capsys.readouterr()
    assert "sealed by: CN=Example Shop \u5e97 (certificate " in said.out
    assert said.err == ""
    sealed = (tmp_path / "a" / "audit.pdf").read_bytes()
    assert "Signature is Valid." in pdfsig(sealed)
    (signature,) = PdfFileReader(io.BytesIO(sealed)).embedded_signatures
    made = json.loads((bare / "manifest.json").read_bytes())["generated_at"]
    assert signature.self_reported_timestamp == datetime.fromisoformat(made)
    monkeypatch.setenv("REPORTGEN_PDF_PASS", "open")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(WHEN.timestamp())))
    assert call(*words, tmp_path / "b", "--quiet") == 0
    assert status((tmp_path / "b" / "audit.pdf").read_bytes(), root).signer_reported_dt == WHEN
    capsys.readouterr()


@pytest.mark.parametrize("case", ["expired", "early", "now", "cert alone", "no pdf"])
def test_what_the_verb_does_not_seal(
    case: str, bare: Path, tmp_path: Path, files: tuple[Path, Path], keys: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("REPORTGEN_PDF_PASS", "open")
    key, own = files
    first, last, told = {
        "expired": (
            FROM.replace(year=2020),
            FROM.replace(year=2021),
            "which is the time of the run; SOURCE_DATE_EPOCH",
        ),
        "early": (
            UNTIL.replace(year=2045),
            UNTIL,
            "which is the time of the run; SOURCE_DATE_EPOCH gives the seal another",
        ),
        "now": (FROM.replace(year=2020), UNTIL.replace(year=2026, month=7), "which is now; seal with a certificate"),
    }.get(case, (FROM, UNTIL, "it with --pdf-key" if case == "cert alone" else "add pdf to --format"))
    own.write_bytes(pem(issue(SHOP, keys["p256"], OWNER, keys["root"], first, last)))
    words = ["--pdf-cert", own] if case == "cert alone" else ["--pdf-cert", own, "--pdf-key", key]
    words += ["--format", "json"] if case == "no pdf" else []
    assert call("audit", bare, "--out", tmp_path / "out", *words) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
