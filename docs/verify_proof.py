"""Check that your report is one of those that a run was sealed with. Needs Python and nothing else.

    python verify_proof.py PROOF.json ROOT REPORT...

ROOT is the root in the signed statement of the run; take it from there, not from the proof. REPORT... are all files you were given.
Exit code 0: proven. 1: not proven, with the reason.
"""

import hashlib
import json
import sys


def need(true: bool, otherwise: str) -> None:
    if not true:
        raise ValueError(otherwise)


def check(proof: dict, root: str, reports: list[bytes]) -> None:
    given, sealed = {hashlib.sha256(data).hexdigest() for data in reports}, proof["reports"]
    need(bool(given) and given <= set(sealed.values()), "these reports are not those of the proof")
    need(all(path[11:35] == proof["user"] for path in sealed), "a report in the proof is of another user")
    listed = "".join(f"{digest}  {path}\n" for path, digest in sorted(sealed.items())).encode()
    node = hashlib.sha256(b"\0" + bytes.fromhex(proof["salt"]) + hashlib.sha256(listed).digest()).digest()
    place, last = proof["index"], proof["leaves"] - 1
    need(0 <= place <= last, "the place is outside the tree")
    for step in map(bytes.fromhex, proof["path"]):  # RFC 9162, section 2.1.3.2
        need(last > 0, "the proof is too long")
        if place % 2 or place == last:
            node = hashlib.sha256(b"\1" + step + node).digest()
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            node = hashlib.sha256(b"\1" + node + step).digest()
        place, last = place // 2, last // 2
    need(last == 0 and node.hex() == root, "the path does not lead to the root")


if __name__ == "__main__":
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            check(json.load(file), sys.argv[2], [open(name, "rb").read() for name in sys.argv[3:]])
    except (LookupError, OSError, TypeError, ValueError) as error:
        sys.exit(f"not proven: {error}")
    print("proven")
