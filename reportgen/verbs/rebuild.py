"""``reportgen rebuild``: the same run once more from the same inputs, compared byte by byte; where it differs, why."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from reportgen.audit.compare import differing_files, find_causes
from reportgen.audit.page import skeleton_hash
from reportgen.audit.place import read_manifest, read_small
from reportgen.audit.register import FILE as ERASURES
from reportgen.audit.register import Register
from reportgen.audit.seal import ENVELOPE, Sealing
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings
from reportgen.config import Config
from reportgen.data.database import fetched
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError
from reportgen.explain.privacy import pseudonym
from reportgen.output.entries import PATH, bucket_of
from reportgen.output.facts import InputFile, hash_inputs
from reportgen.output.manifest import key_id, plain_config
from reportgen.report.record import microseconds
from reportgen.verbs.door import DONE, FAILED, Door
from reportgen.verbs.foreign import given_tables, read_engine
from reportgen.verbs.inputs import read_config
from reportgen.verbs.model import scorer_of

_MOST = 50
_SALTS, _PAGE = "audit/salts.bin", "index.html"


def run(given: argparse.Namespace, door: Door) -> int:
    """Make the run again and compare."""
    manifest, secret = read_manifest(given.run), door.key(given)
    if manifest["key_id"] != key_id(secret):
        raise ConfigError(f"{given.run} was made with another key; name the key of that run with --key-file")
    config = _config(given, manifest, secret)
    with tempfile.TemporaryDirectory(prefix="reportgen-rebuild-") as folder:
        out = given.work or Path(folder) / "run"
        tables = {"events": given.events, "items": given.items, "users": given.users} | given_tables(given)
        with fetched(config.input, tables) as files:
            vars(given).update(files)
            inputs = tuple(
                file for table, where in files.items() for file in hash_inputs(table, where, config.input.delimiter)
            )
            _check_inputs(manifest, inputs)
            _make(given, door, manifest, config, secret, inputs, out)
        return _compare(given, door, manifest, out)


def _config(given: argparse.Namespace, manifest: dict[str, Any], secret: bytes) -> Config:
    """The configuration that was given, or the one in the manifest where that says all."""
    settings = manifest["settings"]["config"]
    if given.config:
        return read_config(given)
    told = _said(settings)
    told["input"]["earliest"] = date.fromisoformat(told["input"]["earliest"])  # TOML has dates, JSON has not
    config = Config.from_dict(told, "manifest.json")
    if plain_config(config, secret) != settings or config.look.logo:
        raise ConfigError("the manifest holds pseudonyms or a logo in place of settings; give the file with --config")
    return config


def _said(plain: Any) -> Any:
    """Settings without those that were not made: TOML knows no nothing."""
    if isinstance(plain, dict):
        return {name: _said(value) for name, value in plain.items() if value is not None}
    return [_said(value) for value in plain] if isinstance(plain, list) else plain


def _check_inputs(manifest: dict[str, Any], inputs: tuple[InputFile, ...]) -> None:
    """Before any work: are these the files that the run was made from? Names may differ, tables and bytes may not."""
    then = Counter((row["table"], row["sha256"]) for row in manifest["inputs"])
    now = Counter((file.table, file.sha256) for file in inputs)
    if then == now:
        return
    wrong = [f"{file.table} {file.name}" for file in inputs if (file.table, file.sha256) not in then]
    lacking = [
        f"{row['table']} {row['name']}" for row in manifest["inputs"] if (row["table"], row["sha256"]) not in now
    ]
    told = f"not of this run: {', '.join(wrong) or 'none'}; lacking: {', '.join(lacking) or 'none'}"
    raise InputError(f"these are not the inputs of the run ({told}); name the same files")


def _make(
    given: argparse.Namespace, door: Door, manifest: dict[str, Any], config: Config, secret: bytes,
    inputs: tuple[InputFile, ...], out: Path,
) -> None:  # fmt: skip
    data = Dataset.from_files(given.events, given.items, given.users, config, not_after=None)
    as_of = _as_of(manifest, data) if given.as_of is None else given.as_of
    told = manifest["settings"]["options"]
    reading = _reading(manifest)
    vars(given).update(reading)

    fitted = partial(scorer_of, given.model, data, config, as_of)
    known, engine = read_engine(given, given_tables(given), data, config, door, fitted)
    names = tuple(
        InputFile(file.table, _name(manifest, file), file.sha256, file.bytes) for file in inputs
    )  # a file may have been renamed since
    settings = RunSettings(
        out, secret, as_of, manifest["generated_at"], manifest["generated_at_source"], config, tuple(told["formats"]),
        told["locale"], told["n"], _users(data, secret, told["users"]), told["limit"], told["pdf_limit"], told["figures"],
        given.templates, synthetic=told["synthetic"], inputs=names, packs=told["users_per_pack"] is not None,
        shard=told["users_per_pack"] or _shard(given.run), stability=told.get("stability", 0),
        reading=reading,
        sealing=Sealing(None, manifest.get("previous_run"), manifest.get("retention_until")),
    )  # fmt: skip
    build_run(settings, known, engine)


def _reading(manifest: dict[str, Any]) -> dict[str, Any]:
    """How the weights of another model were read, as the settings hold it; runs of before that have it beside the model."""
    if not any(row["table"] == "weights" for row in manifest["inputs"]):
        return {}
    model = manifest["model"]
    before = {"model_name": model.get("name", ""), "model_version": model.get("version", "")}
    before |= {name: model[name] for name in ("heads", "layers", "softmax_pooled") if name in model}
    found: dict[str, Any] = manifest["settings"]["options"].get("weights") or before
    return found


def _as_of(manifest: dict[str, Any], data: Dataset) -> int:
    """The reference time of the run. Older manifests tell whole seconds: there the newest event of that second is taken for it."""
    exact = manifest.get("as_of_microseconds")
    if isinstance(exact, int):
        return exact
    told = microseconds(manifest["as_of"])
    newest = int(data.timestamps.max()) if data.timestamps.size else told
    return newest if 0 <= newest - told < 1_000_000 else told


def _shard(run: Path) -> int | None:
    """Users per shard: it decides into which files the statistics are cut."""
    plan = read_small(run, "run_plan.json")
    try:
        return int(json.loads(plan or b"")["shards"]["size"])
    except (ValueError, KeyError, TypeError):
        return None


def _name(manifest: dict[str, Any], file: InputFile) -> str:
    names = (row["name"] for row in manifest["inputs"] if (row["table"], row["sha256"]) == (file.table, file.sha256))
    return next(names, file.name)


def _users(data: Dataset, secret: bytes, keys: list[str] | None) -> tuple[str, ...] | None:
    """Users named one by one stand in a manifest as pseudonyms."""
    if keys is None:
        return None
    wanted = set(keys)
    return tuple(str(user) for user in data.user_ids if pseudonym(secret, str(user)) in wanted)


def _compare(given: argparse.Namespace, door: Door, manifest: dict[str, Any], out: Path) -> int:
    again = read_manifest(out)
    erased = Register.read(read_small(given.run, ERASURES)).keys
    left_out = _left_out(again, erased)
    files = differing_files(manifest, again, left_out)
    if erased and _PAGE in left_out and _skeleton(given.run) != _skeleton(out):
        files.append((_PAGE, "differs"))
    causes = find_causes(manifest, again)
    same = len(again["outputs"]) - len(left_out & {one["path"] for one in again["outputs"]}) - len(files)
    if given.json:
        told = {"same": same, "differing": files, "causes": [vars(cause) for cause in causes], "erased": len(erased)}
        door.console.print(json.dumps(told, sort_keys=True, indent=1, ensure_ascii=False))
    else:
        for path, how in files[:_MOST]:
            door.console.print(f"{path}: {how}")
        for cause in causes:
            door.console.print(f"why: {cause}")
        if not given.quiet:
            door.console.print(
                f"the same: {same} files" + (f"; {len(erased)} erased users were left out" if erased else "")
            )
    if not files:
        return DONE
    why = f"{len(causes)} causes are named above" if causes else "no input, setting, version or font differs: tell us"
    return door.console.error(f"{len(files)} files are not the same; {why}", FAILED)


def _left_out(again: dict[str, Any], erased: set[str]) -> set[str]:
    """What may differ: the signature, which needs the private key, and what an erasure changes."""
    left = {ENVELOPE}
    if erased:
        left |= {ERASURES, _SALTS, _PAGE}
        left |= {out["path"] for out in again["outputs"] if (m := PATH.fullmatch(out["path"])) and m["key"] in erased}
        left |= {f"index/{bucket_of(key)}.jsonl" for key in erased}
        left |= {out["path"] for out in again["outputs"] if out["path"].startswith("packs/")}
    return left


def _skeleton(run: Path) -> str:
    return skeleton_hash(read_small(run, _PAGE) or b"")
