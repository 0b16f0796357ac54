"""The end of a run: its reports go under a Merkle root, the root and everything else into an in-toto Statement, and that is signed.

What is signed must not change when a user is erased. So the statement holds the manifest without its list of outputs, the root, and the
hashes of those files that no erasure touches. Reports, packs, index and salts are proven by the root, the run's page by its skeleton
(`reportgen.audit.page`). ``manifest.json`` may then lose the lines of an erased user, and the signature stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from reportgen.audit.dsse import Signer, envelope
from reportgen.audit.lawpacks import pack_hashes
from reportgen.audit.leaves import LEAVES, MEDIA_TYPE, SALTS, by_key, make_leaves, raw_key, salt_seed
from reportgen.audit.page import skeleton_hash
from reportgen.config import Config
from reportgen.errors import ConfigError, InputError, OutputError
from reportgen.languages import LOCALES
from reportgen.output.durable import Durable, open_inside
from reportgen.output.entries import MADE, bucket_of, read_entry
from reportgen.output.folder import MANIFEST, RunFolder
from reportgen.output.manifest import Manifest, Output
from reportgen.output.natives import font_files, native_versions
from reportgen.output.pack_index import BUCKETS, index_path

STATEMENT, ENVELOPE = "audit/statement.json", "audit/seal.dsse.json"
STATEMENT_TYPE, PREDICATE_TYPE = "https://in-toto.io/Statement/v1", "urn:reportgen:run:v1"
JSON_TYPE, ENVELOPE_TYPE = "application/json", "application/vnd.dsse.envelope.v1+json"
SCHEME = "RFC 9162, leaf = SHA-256(0x00 || salt || SHA-256(list of the user's reports as sha256sum prints it))"
STATISTICS = "audit/statistics.json"
#: Files that an erasure changes or takes away; see the head of this module for what proves each.
ERASABLE = re.compile(r"(reports|packs|index)/.*|index\.html|audit/(leaves|salts)\.bin|erasures\.jsonl")
#: Files that name users, if only by pseudonym: a purge takes them away.
PURGED = re.compile(r"(reports|packs|index|statistics|origins)/.*|audit/(statistics|audit|cases)\..*|errors\.jsonl")
#: Made of others: the statement and its signature cannot hold their own hashes.
OWN = (STATEMENT, ENVELOPE)
#: Families that the style sheets name and that Linux machines have; the one of ``[look] font`` comes before.
_FAMILIES = ("Open Sans", "Noto Sans", "Noto Serif", "Noto Sans CJK SC", "WenQuanYi Micro Hei", "serif", "sans-serif")


@dataclass(frozen=True)
class Sealing:
    """What a run is told about its proof; none of it changes a report.

    Attributes
    ----------
    signer : Signer, optional
        Without one the run is unsigned, and says so.
    previous : dict, optional
        As `previous_of` finds it.
    retention_until : str, optional
        ISO date from which on `reportgen purge` may erase the reports.
    """

    signer: Signer | None = None
    previous: dict[str, str] | None = None
    retention_until: str | None = None


def seal_run(folder: RunFolder, manifest: Manifest, key: bytes, config: Config, sealing: Sealing) -> Manifest:
    """Write leaves, salts and statement of a run whose other files are there; sign it where there is a key.

    Parameters
    ----------
    folder : RunFolder
    manifest : Manifest
        With all outputs so far.
    key : bytes
        Secret behind the pseudonyms.
    config : Config
    sealing : Sealing

    Returns
    -------
    Manifest
        With everything that only the end of a run knows.

    Raises
    ------
    OutputError, ConfigError
    """
    run, before = folder.out, len(folder.outputs)
    leaves = make_leaves(_users(run, manifest.outputs), salt_seed(key, manifest.run_id))
    folder.write(LEAVES, leaves.leaves_file(), MEDIA_TYPE)
    folder.write(SALTS, leaves.salts_file(), MEDIA_TYPE)
    manifest = replace(
        manifest,
        merkle={"scheme": SCHEME, "root": leaves.root.hex(), "leaves": len(leaves)},
        previous_run=sealing.previous,
        retention_until=sealing.retention_until,
        law_packs=tuple({"id": name} | facts for name, facts in pack_hashes(config).items()),
        sampling=_sampling(run),
        **drawing_facts(manifest.settings["options"]["formats"], config),
    )
    statement = make_statement(json.loads(manifest.to_json()), skeleton_hash(_read(run, "index.html")))
    folder.write(STATEMENT, statement, JSON_TYPE)
    if sealing.signer is None:
        (run / ENVELOPE).unlink(missing_ok=True)  # of the run that is mended here
    else:
        folder.write(ENVELOPE, envelope(statement, sealing.signer), ENVELOPE_TYPE)
    return replace(manifest, outputs=(*manifest.outputs, *folder.outputs[before:]))


def drawing_facts(formats: Iterable[str], config: Config) -> dict[str, Any]:
    """What draws the PDFs of a run, where it has any: native libraries and font files, as its manifest holds them."""
    if "pdf" not in formats:
        return {}
    families = (*filter(None, (config.look.font,)), *_FAMILIES)
    languages = [name.lower() for name in LOCALES]
    return {"native_libraries": native_versions(), "fonts": tuple(font_files(families, languages))}


def _sampling(run: Path) -> dict[str, str]:
    try:
        seed = bytes.fromhex(json.loads(_read(run, STATISTICS))["frame"]["seed"])
    except (OutputError, ValueError, KeyError, TypeError):
        return {}
    return {"scheme": "smallest HMAC-SHA256(seed, key) of a stratum", "commitment": sha256(seed).hexdigest()}


def _users(run: Path, outputs: Iterable[Output]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Users of a run with the hashes of their reports, in the order of the bytes of their keys."""
    outputs = list(outputs)
    if not any(output.path.startswith("index/") for output in outputs):
        yield from by_key((output.path, output.sha256) for output in outputs)
        return
    for bucket in BUCKETS:  # each holds the keys that begin with one byte
        _, *lines = _read(run, index_path(bucket)).splitlines(keepends=True)
        entries = [read_entry(line) for line in lines]
        users: dict[str, dict[str, str]] = {}
        for entry in entries:
            if entry.status == MADE:
                users.setdefault(entry.key, {})[entry.format] = entry.sha256
        yield from ((key, users[key]) for key in sorted(users, key=raw_key) if bucket_of(key) == bucket)


def _read(run: Path, path: str) -> bytes:
    try:
        with open_inside(run, path) as stream:
            return stream.read()
    except OSError as error:
        raise OutputError(f"{path} cannot be read ({error.strerror})") from error


def canonical(plain: Any) -> bytes:
    """JSON with sorted keys and no NaN, one space of indent: what this project writes and hashes."""
    return (json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def make_statement(manifest: dict[str, Any], skeleton: str) -> bytes:
    """The in-toto Statement (v1) of a run, as canonical JSON.

    Parameters
    ----------
    manifest : dict
        As ``manifest.json`` holds it.
    skeleton : str
        Of the run's page.
    """
    fixed = [out for out in manifest["outputs"] if not ERASABLE.fullmatch(out["path"]) and out["path"] not in OWN]
    told = {name: value for name, value in manifest.items() if name != "outputs"}
    return canonical({
        "_type": STATEMENT_TYPE,
        "subject": [{"name": out["path"], "digest": {"sha256": out["sha256"]}} for out in fixed],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"manifest": told, "page": {"skeleton_sha256": skeleton}},
    })  # fmt: skip


def previous_of(run: Path) -> dict[str, str]:
    """What a run says of the one before it: its id and the hash of its statement, so that runs make a chain.

    Raises
    ------
    InputError
        It is no sealed run.
    """
    try:
        statement = _read(run, STATEMENT)
        name = json.loads(statement)["predicate"]["manifest"]["run_id"]
        return {"run_id": str(name), "statement_sha256": sha256(statement).hexdigest()}
    except (OutputError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{run} is no sealed run ({error}); name the folder of the run before with --previous"
        ) from error


def sign_run(run: Path, manifest: dict[str, Any], signer: Signer) -> None:
    """Sign the statement of a finished run, in place of a former signature.

    Raises
    ------
    OutputError
        The statement is not the one of the manifest, or the folder cannot be written.
    ConfigError
        The run has no statement.
    """
    try:
        statement = _read(run, STATEMENT)
    except OutputError as error:
        raise ConfigError(f"{run} has no {STATEMENT}; make the run again, then sign it") from error
    listed = next((out["sha256"] for out in manifest["outputs"] if out["path"] == STATEMENT), "")
    if sha256(statement).hexdigest() != listed:
        raise OutputError(f"{run}: {STATEMENT} is not as it was written; look with: reportgen verify {run}")
    signed = envelope(statement, signer)
    with Durable(run) as out:
        out.write(ENVELOPE, signed)
    line = {"path": ENVELOPE, "sha256": sha256(signed).hexdigest(), "bytes": len(signed), "media_type": ENVELOPE_TYPE}
    write_manifest(run, manifest, [*(out for out in manifest["outputs"] if out["path"] != ENVELOPE), line])


def write_manifest(run: Path, manifest: dict[str, Any], outputs: Iterable[dict[str, Any]]) -> None:
    """Write a manifest again with other outputs, durably.

    Raises
    ------
    OutputError
    """
    listed = sorted(outputs, key=lambda output: str(output["path"]))
    with Durable(run) as out:
        out.write(MANIFEST, canonical(manifest | {"outputs": listed}))
