"""What each report of a run was made from, as tags: by them a later run knows which reports it may take over (``--since``).

A report is a pure function of an explanation, of its reader's key, name and language, and of what all reports of a run share: model,
settings, templates, versions, times, and the lines about what was measured. A tag is a keyed hash of all of these. Everybody is explained
again in the later run, from its own data, because the statistics of a run need that; only words, pages and PDFs are taken over. So a
report is taken over exactly when making it again would give the same bytes, whatever changed in the data.

A shard leaves its tags in a small file, sorted. It holds no id and no key: without the secret of the run a tag says nothing, and an
erased user has no report any more that could be taken over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.batch.people import Person
from reportgen.batch.settings import Why
from reportgen.batch.sinks import Listed
from reportgen.errors import OutputError, ReportgenError
from reportgen.output.former import Former

FOLDER, SCHEMA = "origins", "reportgen.origins/1"
#: What became of users in a run with ``--since``: taken over, or made again because the report would be another, because the former run
#: has none of that user, or because it is not whole there.
OUTCOMES = ("taken", "changed", "new", "lost")
_LABEL = b"reportgen/v1/origins"
_BYTES = 16
_TAG = np.dtype([("high", ">u8"), ("low", ">u8")])


def secret_of(key: bytes) -> bytes:
    """The secret behind tags, which workers may have: neither ids nor keys of users follow from it."""
    return hmac.new(key, _LABEL, hashlib.sha256).digest()


@dataclass(frozen=True)
class Origin:
    """What all reports of a run are made from.

    Attributes
    ----------
    secret : bytes
        As `secret_of`.
    common : dict of str to str
        Hash of each part that all reports share (see `reportgen.batch.common`).
    since : str
        Folder of the run whose reports may be taken over; empty for none.
    """

    secret: bytes = field(default=bytes(32), repr=False)
    common: Mapping[str, str] = field(default_factory=dict)
    since: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For the job that workers read."""
        return {"secret": self.secret.hex(), "common": dict(self.common), "since": self.since}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Origin:
        return cls(bytes.fromhex(plain["secret"]), plain["common"], plain["since"])


def origin_path(shard: int) -> str:
    """Where the tags of a shard lie in a run folder."""
    return f"{FOLDER}/{shard:06}.json"


class Library:
    """The reports of a former run, found by their tags.

    Parameters
    ----------
    former : Former
    """

    def __init__(self, former: Former) -> None:
        self.former = former
        parts = [read_tags(former, path)[1] for path in former.paths(FOLDER)]
        tags = np.concatenate(parts) if parts else np.zeros(0, dtype=_TAG)
        order = np.lexsort((tags["low"], tags["high"]))
        self._high, self._low = (tags[name].astype(np.uint64)[order] for name in ("high", "low"))

    def knows(self, tag: bytes) -> bool:
        """Whether a report was made from that."""
        high, low = (np.uint64(int.from_bytes(half, "big")) for half in (tag[:8], tag[8:]))
        same = slice(np.searchsorted(self._high, high), np.searchsorted(self._high, high, side="right"))
        return bool((self._low[same] == low).any())


def read_tags(former: Former, path: str) -> tuple[dict[str, str], np.ndarray]:
    """What a file of tags says: the parts that all reports share, and the tags; neither where it is damaged or of another version."""
    try:
        plain = json.loads(former.read(path) or b"")
        if plain["schema"] != SCHEMA:
            raise ValueError(SCHEMA)
        return dict(plain["common"]), np.frombuffer(base64.b64decode(plain["tags"], validate=True), dtype=_TAG)
    except (ValueError, KeyError, TypeError, binascii.Error):
        return {}, np.zeros(0, dtype=_TAG)


class Origins:
    """The tags of one shard, and what was taken over by them.

    Parameters
    ----------
    origin : Origin
    library : Library, optional
        Of the former run; nothing is taken over without one.
    """

    def __init__(self, origin: Origin, library: Library | None) -> None:
        self._origin, self._library = origin, library
        self._common = _digest(origin.secret, repr(sorted(origin.common.items())))
        self._tags: dict[str, bytes] = {}
        self.outcomes: Counter[str] = Counter()

    def tag(self, person: Person, why: Why) -> bool:
        """Compute the tag of a user; return whether a report made from the same is there to be taken over."""
        tag = tag_of(self._origin.secret, self._common, person, why)
        self._tags[person.key] = tag
        return self._library is not None and self._library.knows(tag)

    def take(self, person: Person, formats: Iterable[str], known: bool) -> dict[str, bytes] | None:
        """The reports of a user from the former run, by format; None where they are to be made."""
        if self._library is None:
            return None
        former = self._library.former
        found = former.take(person.key, formats) if known else None
        if known:
            self.outcomes["lost" if found is None else "taken"] += 1
        else:
            self.outcomes["changed" if former.has(person.key) else "new"] += 1
        return found

    def close(self) -> None:
        """Let go of what is open of the former run."""
        if self._library is not None:
            self._library.former.close()

    def file(self, shard: int, people: Iterable[Person]) -> tuple[bytes, Listed]:
        """The file of a shard with the tags of those who have a report: its bytes, and how a result lists it."""
        tags = b"".join(sorted(self._tags[person.key] for person in people if person.key in self._tags))
        told = {
            "schema": SCHEMA,
            "common": dict(sorted(self._origin.common.items())),
            "tags": base64.b64encode(tags).decode("ascii"),
        }
        data = (json.dumps(told, indent=1) + "\n").encode("ascii")
        return data, (origin_path(shard), hashlib.sha256(data).hexdigest(), len(data))


def tag_of(secret: bytes, common: bytes, person: Person, why: Why) -> bytes:
    """The tag of a report: 16 bytes of BLAKE2b with a key.

    Parameters
    ----------
    secret : bytes
    common : bytes
        Digest of what all reports of the run share.
    person : Person
    why : Explanation or ForeignExplanation
    """
    digest = hashlib.blake2b(common, digest_size=_BYTES, key=secret)
    told: list[Any] = [person.key, person.locale, person.name]
    _note(why, told, digest)
    digest.update(repr(told).encode("utf-8", "surrogatepass"))
    return digest.digest()


def _note(value: Any, told: list[Any], digest: hashlib.blake2b) -> None:
    """Take every field of an explanation: arrays of numbers as their bytes, everything else as it is written in Python."""
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            told.append(value.tolist())
        else:
            told.append((value.dtype.str, value.shape))
            digest.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value) and any(isinstance(getattr(value, one.name), np.ndarray) for one in fields(value)):
        for one in fields(value):
            _note(getattr(value, one.name), told, digest)
    else:
        told.append(value)


def _digest(secret: bytes, text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=32, key=secret).digest()


def changed_parts(former: Former, common: Mapping[str, str]) -> list[str]:
    """The parts that all reports share and that were others in a former run; empty when reports can be taken over.

    Raises
    ------
    OutputError
        The former run does not say what its reports were made from.
    """
    paths = former.paths(FOLDER)
    told = read_tags(former, paths[0])[0] if paths else {}
    if not told:
        raise OutputError(
            f"{former.run} does not say what its reports were made from ({FOLDER}/ is missing or damaged); "
            "leave --since out, the run made now can be named next time"
        )
    return [name for name in common if told.get(name) != common[name]]


def library_of(origin: Origin) -> Library | None:
    """The former run of an origin; None where there is none, or where this machine cannot read it: then everything is made."""
    try:
        return Library(Former(Path(origin.since))) if origin.since else None
    except ReportgenError:
        return None
