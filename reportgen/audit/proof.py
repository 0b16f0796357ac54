"""The inclusion proof of one user, for whoever holds the reports and the root; ``docs/verify_proof.py`` checks it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reportgen.audit.leaves import NO_SALT, list_digest, read_leaves, report_path, user_leaf
from reportgen.audit.merkle import inclusion_path
from reportgen.audit.place import packed, read_manifest
from reportgen.audit.verify import MOST_USERS
from reportgen.errors import InputError, OutputError
from reportgen.output.entries import KEY, MADE
from reportgen.output.pack_index import find_entries

SCHEMA = "reportgen.proof/1"


def make_proof(run: Path, key: str) -> dict[str, Any]:
    """Prove that the reports of a user are under the root of a run.

    Parameters
    ----------
    run : Path
    key : str
        Pseudonym.

    Returns
    -------
    dict
        ``schema, run_id, user, root, leaves, index, leaf, path``, and ``salt, reports`` unless the user was erased.

    Raises
    ------
    InputError
        No such user.
    OutputError
        What lies in the run does not fit the leaf, so nothing is proven.
    """
    if not KEY.fullmatch(key):
        raise InputError(f"{key!r} is not a key: keys have 24 letters of a-z and 2-7, as in the names of reports")
    manifest, leaves = read_manifest(run), read_leaves(run, MOST_USERS)
    at = leaves.find(key)
    if at is None:
        raise InputError(f"{key} has no leaf in this run: unknown, set aside, opted out, or the run was purged")
    proof = {
        "schema": SCHEMA, "run_id": manifest["run_id"], "user": key, "root": leaves.root.hex(), "leaves": len(leaves),
        "index": at, "leaf": leaves.hashes[at].hex(), "path": [step.hex() for step in inclusion_path(leaves.hashes, at)],
    }  # fmt: skip
    if leaves.salts[at] == NO_SALT:
        return proof | {"erased": True}
    hashes = _hashes(run, manifest, key)
    if user_leaf(leaves.salts[at], key, hashes) != leaves.hashes[at]:
        raise OutputError(f"the reports of {key} are not those that were sealed; look with: reportgen verify {run}")
    reports = {report_path(key, word): digest for word, digest in sorted(hashes.items())}
    return proof | {"salt": leaves.salts[at].hex(), "reports": reports, "list_sha256": list_digest(key, hashes).hex()}


def _hashes(run: Path, manifest: dict[str, Any], key: str) -> dict[str, str]:
    if packed(manifest):
        return {entry.format: entry.sha256 for entry in find_entries(run, key) if entry.status == MADE}
    stem = report_path(key, "")
    return {out["path"][len(stem) :]: out["sha256"] for out in manifest["outputs"] if out["path"].startswith(stem)}
