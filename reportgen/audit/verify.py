"""``verify_run``: is a run what it says? Everything that is not as it must be is found and named; nothing is changed.

No secret is needed. What each check proves, and what it does not, stands in ``docs/verify.md``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from reportgen.audit.dsse import SignatureError
from reportgen.audit.leaves import Leaves, read_leaves
from reportgen.audit.page import odd_lines
from reportgen.audit.place import ERASING, is_beside, odd_outputs, read_manifest, read_small, walk
from reportgen.audit.rawids import RawIds
from reportgen.audit.register import FILE as ERASURES
from reportgen.audit.register import Register
from reportgen.audit.seal import canonical
from reportgen.audit.verify_packs import check_packs
from reportgen.audit.verify_reports import Reports, check_files
from reportgen.audit.verify_seal import PAGE, Seal, Verdict
from reportgen.errors import OutputError
from reportgen.output.durable import open_inside
from reportgen.output.folder import MANIFEST

_BLOCK = 1 << 20
#: Users of a run at most, four files of a hundred bytes each in memory.
MOST_USERS = 20_000_000
ERRORS = "errors.jsonl"


def verify_run(
    run: Path, public_key: Ed25519PublicKey | None = None, previous: Path | None = None, ids: Iterable[str] = ()
) -> Verdict:
    """Check a run: hashes, root, signature, chain, completeness, sums, names.

    Parameters
    ----------
    run : Path
    public_key : Ed25519PublicKey, optional
        Of who signed; without it a signature is not checked, and a note says so.
    previous : Path, optional
        The run before, to check the chain.
    ids : iterable of str
        Raw ids that must not occur in any file.

    Raises
    ------
    InputError
        There is no finished run.
    """
    verdict = Verdict()
    if (run / ERASING).exists():
        verdict.find(ERASING, "an erasure was begun and not finished; run reportgen forget or purge again, then verify")
        return verdict
    try:
        manifest = read_manifest(run)
        check = _Check(run, manifest, verdict, RawIds(ids))
    except OutputError as error:
        verdict.find(MANIFEST, str(error))
        return verdict
    check.everything(public_key, previous)
    return verdict


class _Check:
    """One run under check."""

    def __init__(self, run: Path, manifest: dict[str, Any], verdict: Verdict, raw: RawIds) -> None:
        self.run, self.manifest, self.verdict, self.raw = run, manifest, verdict, raw
        self.outputs: dict[str, dict[str, Any]] = {output["path"]: output for output in manifest["outputs"]}
        self.register = Register()
        self.page = b""

    def everything(self, key: Ed25519PublicKey | None, previous: Path | None) -> None:
        """All checks, each of which goes on whatever another found."""
        missing = self._files()
        self._form()
        with self._named(ERASURES):
            self.register = Register.read(read_small(self.run, ERASURES))
        self._listed(missing)
        Seal(self.run, self.manifest, self.verdict, self.register.purged, self.page).check(key, previous)
        leaves = Leaves()
        with self._named("audit/leaves.bin"):
            leaves = read_leaves(self.run, MOST_USERS)
        reports = self._reports(leaves)
        self._root(leaves)
        self._complete(leaves, reports)
        self._erasures(key)
        self._tell(leaves, reports)

    @contextmanager
    def _named(self, where: str) -> Iterator[None]:
        """An error in this block becomes a finding."""
        try:
            yield
        except OutputError as error:
            self.verdict.find(where, str(error))

    def _form(self) -> None:
        """The manifest must be in the one form that is written: no byte of it may say nothing."""
        self.verdict.findings += odd_outputs(self.manifest)
        listed = sorted(self.manifest["outputs"], key=lambda output: str(output["path"]))
        try:
            same = read_small(self.run, MANIFEST) == canonical(self.manifest | {"outputs": listed})
        except (ValueError, OutputError):  # NaN, or a lone surrogate
            same = False
        if not same:
            self.verdict.find(MANIFEST, "is not in the form in which it was written")

    # --- what lies in the folder

    def _files(self) -> set[str]:
        """Look at every name in the folder; return the listed files that are not there."""
        there: set[str] = set()
        odd: list[str] = []
        for path, kind in walk(self.run):
            if kind != "file":
                self.verdict.find(
                    path, "is a symbolic link, planted: a run has none" if kind == "link" else "is no plain file"
                )
            elif path in self.outputs:
                there.add(path)
            elif path != MANIFEST and not is_beside(path):
                odd.append(path)
            elif path.startswith("audit/"):
                self.verdict.notes.append(f"{path} was written after the run was sealed and is no part of the proof")
        missing = self.outputs.keys() - there
        self._unlisted(odd, missing)
        return set(missing)

    def _unlisted(self, odd: list[str], missing: Iterable[str]) -> None:
        """Name files that nobody listed, and whose bytes they hold."""
        home = {output["sha256"]: path for path, output in self.outputs.items()}
        gone = set(missing)
        for path in odd:
            told = "is not listed in manifest.json"
            with suppress(OSError):
                mine = home.get(self._hash(path, None))
                if mine:
                    told += f": it is {mine} renamed" if mine in gone else f": it is a copy of {mine}"
            self.verdict.find(path, told)

    def _hash(self, path: str, look: str | None) -> str:
        digest = sha256()
        feed = None if look is None else self.raw.reader(look)
        with open_inside(self.run, path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                if feed is not None:
                    feed(block)
        if feed is not None:
            feed(b"")
        return digest.hexdigest()

    def _listed(self, missing: set[str]) -> None:
        """Hash every listed file but reports and packs, which are read where they are checked."""
        for path, output in self.outputs.items():
            if path.startswith(("reports/", "packs/")):
                continue
            if path in missing:
                self.verdict.find(path, "is missing")
                continue
            try:
                size = (self.run / path).lstat().st_size
                if size != output["bytes"]:
                    self.verdict.find(path, f"has {size} bytes, {MANIFEST} says {output['bytes']}")
                if self._hash(path, path) != output["sha256"]:
                    self.verdict.find(path, "is not as it was written (its SHA-256 is not the one in manifest.json)")
            except OSError as error:
                self.verdict.find(path, f"cannot be read ({error.strerror})")
        with suppress(OutputError):
            self.page = read_small(self.run, PAGE) or b""

    # --- reports

    def _reports(self, leaves: Leaves) -> Reports:
        state = Reports(self.run, leaves, self.register.keys, self.raw.look)
        check_files(state, self.outputs)
        if any(path.startswith(("packs/", "index/")) for path in self.outputs):
            check_packs(state, self.outputs)
        for _ in state.missing(self.register.purged):
            pass  # named there
        self.verdict.findings += state.findings
        for key in odd_lines(self.page, self.outputs):
            self.verdict.find(f"{PAGE}: {key}", "the line of this report says something else than where it lies")
        self.verdict.findings += self.raw.findings
        self.verdict.notes += self.raw.notes
        return state

    def _root(self, leaves: Leaves) -> None:
        sealed = self.manifest["merkle"]
        if leaves.root.hex() != sealed.get("root") or len(leaves) != sealed.get("leaves"):
            told = f"{len(leaves)} leaves give the root {leaves.root.hex()[:16]}..., sealed was {str(sealed.get('root'))[:16]}..."
            self.verdict.find("audit/leaves.bin", told)

    def _complete(self, leaves: Leaves, reports: Reports) -> None:
        """Every user of the data is reported, set aside, opted out or was not chosen; the counts must be those that are there."""
        users = self.manifest["users"]
        names = ("reported", "set_aside", "opted_out", "not_chosen")
        if not all(isinstance(users.get(name), int) for name in (*names, "total")):
            self.verdict.find(f"{MANIFEST}: users", "does not count users")
            return
        if sum(users[name] for name in names) != users["total"]:
            self.verdict.find(f"{MANIFEST}: users", f"{users['total']} users, but the parts do not sum to that")
        if len(leaves) != users["reported"]:
            self.verdict.find(
                f"{MANIFEST}: users", f"{users['reported']} users with a report, but {len(leaves)} leaves"
            )
        aside = self._set_aside()
        if aside is not None and aside != users["set_aside"]:
            self.verdict.find(ERRORS, f"names {aside} users, set aside were {users['set_aside']}")
        if reports.set_aside and reports.set_aside != users["set_aside"]:
            self.verdict.find(
                "packs", f"name {reports.set_aside} users without a report, set aside were {users['set_aside']}"
            )

    def _set_aside(self) -> int | None:
        if self.register.purged:
            return None
        try:
            lines = (read_small(self.run, ERRORS) or b"").splitlines()
            return len({str(json.loads(line)["user"]) for line in lines})
        except (OutputError, ValueError, KeyError, TypeError) as error:
            self.verdict.find(ERRORS, f"is damaged ({error})")
            return None

    # --- erasures

    def _erasures(self, key: Ed25519PublicKey | None) -> None:
        lines = self.register.lines
        if any(line["run_id"] != self.manifest["run_id"] for line in lines):
            self.verdict.find(ERASURES, "holds an erasure of another run")
        twice = [name for name, count in Counter(line.get("key") for line in lines).items() if count > 1 and name]
        for name in twice:
            self.verdict.find(ERASURES, f"names {name} twice")
        if not lines:
            return
        signed = 0
        if key is not None:
            try:
                signed = self.register.signed(key)
            except SignatureError as error:
                self.verdict.find(ERASURES, str(error))
        self.verdict.facts["erasures_signed"] = signed
        self.verdict.notes.append(
            f"{len(self.register.keys)} users were erased; {signed} of {len(lines)} lines are signed"
        )
        for line in lines:
            if "purged_at" in line and str(line["purged_at"]) < str(self.manifest.get("retention_until") or "9999"):
                self.verdict.find(ERASURES, "the run was purged before its retention was over")
        if self.register.purged:
            self.verdict.notes.append(
                "the personal content of this run was purged; root and statement are what is left"
            )

    def _tell(self, leaves: Leaves, reports: Reports) -> None:
        self.verdict.facts |= {
            "run_id": self.manifest["run_id"],
            "users": len(leaves),
            "erased": len(self.register.keys),
            "reports": reports.reports,
            "records_summed": reports.records,
            "bytes": reports.size,
            "root": leaves.root.hex(),
        }
