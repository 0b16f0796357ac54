"""``purge_run``: after its retention a run keeps its proof and loses everything that names a user."""

from __future__ import annotations

from pathlib import Path

from reportgen.audit.dsse import Signer
from reportgen.audit.erase import begin, begun_in, clear, close, remove
from reportgen.audit.leaves import LEAVES, NO_KEY, SALTS, Leaves, read_leaves
from reportgen.audit.place import MADE_AFTER, read_manifest, read_small
from reportgen.audit.register import FILE as ERASURES
from reportgen.audit.register import Register
from reportgen.audit.seal import PURGED
from reportgen.audit.verify import MOST_USERS
from reportgen.audit.verify_seal import PAGE
from reportgen.errors import ConfigError, InputError, OutputError
from reportgen.output.durable import list_inside


def purge_run(run: Path, when: str, signer: Signer | None = None) -> int:
    """Take the personal content of a run away after its retention: everything that names a user, if only by pseudonym.

    Manifest, statement, signature, plan, measures of faithfulness and leaves without keys stay; and the register of erasures.

    Parameters
    ----------
    run : Path
    when : str
        ISO time of now, to compare with the manifest's ``retention_until``.
    signer : Signer, optional

    Returns
    -------
    int
        Files taken away.

    Raises
    ------
    ConfigError
        The retention is not over, or the run names none.
    OutputError
    """
    begun, manifest = begun_in(run), read_manifest(run)
    clear(run)
    if begun is not None and not begun.get("purge"):
        raise OutputError(f"{run}: an erasure was begun and not finished; run reportgen forget again")
    until = manifest.get("retention_until")
    if not isinstance(until, str):
        raise ConfigError(
            f"{run} names no retention; a run made with --retention-until DATE can be purged after that day"
        )
    if when < until:
        raise ConfigError(f"{run} is kept until {until}, which is not over; purge it after that day")
    register = Register.read(read_small(run, ERASURES))
    if register.purged and begun is None:
        raise InputError(f"{run} was purged already; see {ERASURES}")
    begin(run, {"purge": True})
    leaves = read_leaves(run, MOST_USERS)
    gone = {out["path"] for out in manifest["outputs"] if _personal(out["path"])}
    remove(run, gone | _stray(run) | set(MADE_AFTER))
    if not register.purged:
        register.add({"run_id": manifest["run_id"], "purged_at": when, "leaves": len(leaves)}, signer)
    outputs = {out["path"]: out for out in manifest["outputs"] if out["path"] not in gone}
    close(run, manifest, outputs, {LEAVES: _without_keys(leaves), ERASURES: register.to_bytes()})
    return len(gone)


def _personal(path: str) -> bool:
    return path in (PAGE, SALTS) or PURGED.fullmatch(path) is not None


def _stray(run: Path) -> set[str]:
    """Reports that lie in the folder whatever the manifest says."""
    folders = [f"reports/{name}" for name in list_inside(run, "reports") if len(name) == 2]
    there = {f"{folder}/{name}" for folder in (*folders, "packs", "index") for name in list_inside(run, folder)}
    return {path for path in there if PURGED.fullmatch(path)}


def _without_keys(leaves: Leaves) -> bytes:
    return Leaves([NO_KEY] * len(leaves), leaves.hashes, leaves.salts).leaves_file()
