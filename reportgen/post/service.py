"""The folder for a mail service: a page, a text and a line of facts for each reader, and `index.csv` that lists them.

It is made from a finished run, so it can be thrown away after the upload and made again. `index.csv` is written last and taken away
first: a folder with one is whole. A file that is there already, byte by byte, is not written again.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from reportgen.errors import OutputError
from reportgen.mail.address import Address, AddressError, read_address
from reportgen.mail.crm import Crm
from reportgen.mail.outgoing import read_crm_record
from reportgen.output.durable import Durable
from reportgen.output.entries import bucket_of
from reportgen.post.outbox import Mails
from reportgen.post.suppressed import Suppressed

#: Where `build` puts it in a run folder.
FOLDER, INDEX = "crm", "index.csv"
COLUMNS = ("key", "email", "locale", "subject", "preheader", "products", "html", "text", "meta")
_ENDS = {"html": "html", "text": "txt", "meta": "json"}
_OURS = re.compile(r"\.?([a-z2-7]{24}\.(html|txt|json)|index\.csv)(\.[0-9a-f]{8})?(\.part)?")
#: A cell that begins so is a formula to a spreadsheet. A quotation mark before it would make another address of it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NOBODY = Suppressed()


@dataclass
class Service:
    """What became of the folder.

    Attributes
    ----------
    index : Path
    readers : int
        Lines of the index.
    left_out : Counter
        Readers who are not in it, by reason.
    """

    index: Path
    readers: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def write_service(
    mails: Mails, out: Path, opted_out: Collection[str] = frozenset(), suppressed: Suppressed = _NOBODY
) -> Service:
    """Make the folder.

    Parameters
    ----------
    mails : Mails
        Of the format ``crm``.
    out : Path
        New, empty, or a former folder of this kind, of which what does not belong here is taken away.
    opted_out : collection of str
        Keys of people who said since that they want no mails.
    suppressed : Suppressed

    Raises
    ------
    OutputError
        The folder holds something else, or cannot be written.
    """
    check_service(out)
    done, rows, keep = Service(out / INDEX), list[list[str]](), set[str]()
    old = _bytes(out / INDEX)
    with Durable(_made(out)) as durable:
        for key, crm, box in _readers(mails, done, opted_out, suppressed):
            names = {part: f"{bucket_of(key)}/{key}.{end}" for part, end in _ENDS.items()}
            for part, name in names.items():
                data = str(getattr(crm, part)).encode("utf-8")
                if _bytes(out / name) != data:
                    old = _without_index(out, old)
                    durable.write(name, data)
            keep.update(names.values())
            rows.append(_row(key, crm, box, names))
    done.readers, table = len(rows), _table(sorted(rows))  # by key: packs come in another order
    if table != old or _strangers(out, keep):
        _without_index(out, old)
        _tidy(out, keep)
        with Durable(out) as durable:
            durable.write(INDEX, table)
    return done


def check_service(out: Path) -> None:
    """Say before any work whether the folder may be made there.

    Raises
    ------
    OutputError
        It is a file or a link, or holds what is not of this kind.
    """
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_dir():
        raise OutputError(f"{out} is a link or a file; name another folder")
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out)
        mine = _OURS.fullmatch(name.name) if path.is_file() else re.fullmatch("[0-9a-f]{2}", str(name))
        if path.is_symlink() or not mine:
            raise OutputError(f"{out} holds {name}, which is not of a folder for a mail service; name another folder")


def remove_service(out: Path) -> bool:
    """Take such a folder away; return whether there was one.

    Raises
    ------
    OutputError
        It holds something else too.
    """
    check_service(out)
    if not out.is_dir():
        return False
    try:
        shutil.rmtree(out)
    except OSError as error:
        raise OutputError(f"{out} cannot be removed ({error.strerror}); it holds mails with addresses") from error
    return True


def _made(out: Path) -> Path:
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made ({error.strerror}); name another folder") from error
    return out


def _readers(
    mails: Mails, done: Service, opted_out: Collection[str], suppressed: Suppressed
) -> Iterator[tuple[str, Crm, Address]]:
    for found in mails:
        try:
            crm, email = read_crm_record(found.data)  # no bytes where there is trouble, which is no record either
            box = read_address(email)
        except (ValueError, AddressError):
            done.left_out["the file of the run is damaged; mend it with build --resume"] += 1
            continue
        if found.key in opted_out:
            done.left_out["opted out"] += 1
        elif suppressed.holds(found.key, box):
            done.left_out["on the suppression list"] += 1
        elif box.spec.startswith(_FORMULA):
            done.left_out["the address would be a formula in a spreadsheet"] += 1
        else:
            yield found.key, crm, box


def _row(key: str, crm: Crm, box: Address, names: dict[str, str]) -> list[str]:
    meta = json.loads(crm.meta)
    told = [str(meta[name]) for name in ("locale", "subject", "preheader", "products")]
    return [key, box.spec, *(f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in told), *names.values()]


def _table(rows: list[list[str]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([COLUMNS, *rows])
    return text.getvalue().encode("utf-8")


def _without_index(out: Path, old: bytes | None) -> bytes | None:
    if old is not None:
        with suppress(FileNotFoundError):
            os.unlink(out / INDEX)
    return None


def _strangers(out: Path, keep: Collection[str]) -> list[Path]:
    """Files of readers who are not in the folder any more."""
    files = (path for path in out.rglob("*") if path.is_file())
    return [path for path in files if (name := path.relative_to(out).as_posix()) != INDEX and name not in keep]


def _tidy(out: Path, keep: Collection[str]) -> None:
    for path in _strangers(out, keep):
        path.unlink()
        with suppress(OSError):
            path.parent.rmdir()


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
