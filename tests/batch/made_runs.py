"""Small finished runs, with packs and without, made by hand: what tests of taking a report out share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from reportgen.batch.people import report_stem
from reportgen.explain.privacy import pseudonym
from reportgen.output.durable import Durable
from reportgen.output.entries import OPTED_OUT, SET_ASIDE
from reportgen.output.manifest import SCHEMA, key_id
from reportgen.output.pack_index import rebuild_index
from reportgen.output.packs import Pack, pack_path

KEY = b"a key for tests, not a secret"
REASON = {"stage": "html", "reason": "RenderError: template x.html, line 3"}


def key_of(user: str) -> str:
    return pseudonym(KEY, user)


def report(user: str, word: str) -> bytes:
    return f"<p>{word} of {user}</p>".encode() * 9


def packed(run: Path) -> Path:
    """A finished run with packs: ann and bob have reports, cem was set aside, dot has opted out."""
    pack = Pack(0)
    for user, words in (("ann", ("html", "json")), ("bob", ("json",))):
        for word in words:
            pack.write(f"{report_stem(key_of(user))}.{word}", report(user, word))
    pack.absent(key_of("cem"), SET_ASIDE)
    pack.absent(key_of("dot"), OPTED_OUT)
    files = {
        pack_path(0): pack.to_bytes(),
        "errors.jsonl": json.dumps({"user": key_of("cem"), **REASON}, sort_keys=True).encode() + b"\n",
    }
    run.mkdir()
    with Durable(run) as out:
        for path, data in files.items():
            out.write(path, data)
    outputs = [{"path": path, "sha256": sha256(data).hexdigest(), "bytes": len(data)} for path, data in files.items()]
    outputs += [vars(file) for file in rebuild_index(run).files]
    finish(run, outputs)
    return run


def finish(run: Path, outputs: list[Mapping[str, Any]]) -> None:
    users = {"total": 9, "reported": 2, "set_aside": 1, "opted_out": 1, "not_chosen": 5}
    plain = {
        "schema": SCHEMA,
        "key_id": key_id(KEY),
        "users": users,
        "outputs": [{"media_type": "", **o} for o in outputs],
    }
    (run / "manifest.json").write_text(json.dumps(plain))


def in_folders(run: Path) -> Path:
    """The same run without packs."""
    packed(run)
    told = (run / "errors.jsonl").read_bytes()
    outputs = [{"path": "errors.jsonl", "sha256": sha256(told).hexdigest(), "bytes": len(told)}]
    for user, word in (("ann", "html"), ("ann", "json"), ("bob", "json")):
        path, data = f"{report_stem(key_of(user))}.{word}", report(user, word)
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).write_bytes(data)
        outputs.append({"path": path, "sha256": sha256(data).hexdigest(), "bytes": len(data)})
    finish(run, outputs)
    return run


def crowded(run: Path, packs: int = 3, users: int = 600) -> dict[str, bytes]:
    """A finished run with packs of many users, whose list of members is longer than what is read of the end of a ZIP; its JSON reports."""
    chance, made, files = Random(7), dict[str, bytes](), {"errors.jsonl": b""}
    for shard in range(packs):
        pack = Pack(shard)
        for number in range(users):
            key = key_of(f"{shard}/{number}")
            for word in ("html", "json"):
                made[f"{report_stem(key)}.{word}"] = data = chance.randbytes(700).hex().encode()
                pack.write(f"{report_stem(key)}.{word}", data)
        files[pack_path(shard)] = pack.to_bytes()
    run.mkdir()
    with Durable(run) as out:
        for path, data in files.items():
            out.write(path, data)
    outputs = [{"path": path, "sha256": sha256(data).hexdigest(), "bytes": len(data)} for path, data in files.items()]
    finish(run, [*outputs, *(vars(file) for file in rebuild_index(run).files)])
    return made
