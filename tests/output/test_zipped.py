"""The ZIP that packs are: other readers agree with us on what is in it, small, empty and beyond the limits of 16 and 32 bits."""

from __future__ import annotations

import subprocess
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.output import zipped
from reportgen.output.zipped import Member, deflate_version, zip_parts

#: A text that compresses, one byte, nothing, and what cannot be made smaller.
FILES = {
    "a/text.html": b"<p>why</p>" * 500,
    "a/one": b"1",
    "b/nothing": b"",
    "b/noise": bytes((k * k * 31 + k // 7) % 251 for k in range(5000)),
}


def make_zip(files: dict[str, bytes], comment: bytes = b"sealed", stored: tuple[str, ...] = ()) -> bytes:
    return b"".join(zip_parts([(name, Member.of(data, name in stored)) for name, data in files.items()], comment))


def read_zip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


NAMES = st.text("abc/.", min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.binary(max_size=300), max_size=6), st.text("sha256:0", max_size=80))
def test_the_standard_library_reads_what_was_written(files: dict[str, bytes], comment: str) -> None:
    data = make_zip(files, comment.encode("ascii"), stored=tuple(files)[:2])
    assert read_zip(data) == files
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.comment == comment.encode("ascii")


def test_a_member_says_what_its_bytes_are() -> None:
    member, plain = Member.of(FILES["a/text.html"]), Member.of(FILES["a/text.html"], stored=True)
    assert zlib.decompress(member.data, wbits=-15) == FILES["a/text.html"] == plain.data
    assert member.crc == plain.crc == zlib.crc32(FILES["a/text.html"])
    assert (member.size, member.method, plain.method) == (5000, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)
    assert len(member.data) < 200
    assert deflate_version()


def test_another_tool_reads_it(tmp_path: Path, need_tool: Callable[[str, str], str]) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(make_zip(FILES))
    tool = need_tool("unzip", "apt-get install unzip")
    done = subprocess.run([tool, "-tq", str(path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_more_members_than_sixteen_bits_count() -> None:
    member = Member.of(b"x", stored=True)
    count = 0xFFFF + 5
    data = b"".join(zip_parts([(f"{k:05}", member) for k in range(count)], b""))
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = archive.namelist()
        assert (len(names), names[-1], archive.read(names[-1])) == (count, f"{count - 1:05}", b"x")
    assert b"PK\6\6" in data


def test_members_behind_the_reach_of_thirty_two_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a lower limit, since four gigabytes are no test: the numbers stand where a reader looks for large ones."""
    assert b"PK\6\6" not in make_zip(FILES)
    monkeypatch.setattr(zipped, "_LARGE", 100)
    data = make_zip(FILES)
    assert b"PK\6\6" in data
    assert read_zip(data) == FILES


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped, "_MOST_32", 10)
    with pytest.raises(ValueError, match="too large for a pack"):
        Member.of(b"x" * 10)


@pytest.mark.parametrize("place", [0, 30, 45, 400])
def test_a_changed_byte_is_noticed(place: int) -> None:
    """Negative control: the sums of a ZIP are really ours and not only present."""
    files = {"a": bytes(range(256)) * 2}
    data = bytearray(make_zip(files, b"", stored=("a",)))
    data[place] ^= 0x55
    with pytest.raises((zipfile.BadZipFile, KeyError, OSError, AssertionError, NotImplementedError)):
        assert read_zip(bytes(data)) == files
