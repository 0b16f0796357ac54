"""What stands in a file and is not to be seen in its bytes: streams and drawn text of a PDF, encoded parts of a mail.

Read as the formats say: ISO 32000-2, 7.3.8 (streams), 7.9.2.2 (text strings in UTF-16), 9.4.3 (showing text) and 9.10.3 (ToUnicode maps);
RFC 2045 (transfer encodings). A PDF of ours packs streams with Flate alone and draws text as numbers of glyphs.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_UTF16 = re.compile(rb"<([fF][eE][fF][fF](?:[0-9a-fA-F]{4})*)>")
#: One showing of text: an array of glyphs with kerning between, or a single string.
_SHOWN = re.compile(rb"\[([^\[\]]*)\]\s*TJ|(<[0-9a-fA-F]+>)\s*Tj")
_GLYPHS = re.compile(rb"<([0-9a-fA-F]+)>")
_SECTION = re.compile(rb"beginbf(char|range)(.*?)endbf", re.DOTALL)
#: Of a stream that holds more only so much is read: it is not one of ours.
_MOST = 1 << 26


def hidden_texts(data: bytes) -> Iterator[bytes]:
    """Every text inside a PDF or a mail, as UTF-8 or as it lies there; nothing for other files.

    Parameters
    ----------
    data : bytes
        A whole file.

    Yields
    ------
    bytes
        Unpacked streams (attachments, metadata, titles and alternative texts among them), text strings, and the drawn text of a page, one
        line for each piece that is shown in one go. What a line break divides stays divided.
    """
    if data.startswith(b"%PDF-"):
        yield from _of_pdf(data)
    elif data[:4096].lower().find(b"\nmime-version:") >= 0:
        yield from _of_mail(message_from_bytes(data))


def _of_mail(message: Message) -> Iterator[bytes]:
    for part in message.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            yield payload


def _of_pdf(data: bytes) -> Iterator[bytes]:
    streams = list(_streams(data))
    yield from streams
    for part in (data, *streams):
        for found in _UTF16.finditer(part):
            yield bytes.fromhex(found[1].decode("ascii")).decode("utf-16", "replace").encode("utf-8", "replace")
    fonts = [_characters(stream) for stream in streams if b"begincmap" in stream]
    pages = [pieces for stream in streams if (pieces := _shown(stream))]
    for font in fonts:  # of a wrong font the letters make no sense, which finds nothing
        for pieces in pages:
            lines = ("".join(font.get(glyph, "") for glyph in piece) for piece in pieces)
            yield "\n".join(lines).encode("utf-8", "replace")


def _streams(data: bytes) -> Iterator[bytes]:
    """The streams of a PDF, unpacked; fonts and what is packed otherwise are left out."""
    for start in _STREAM.finditer(data):
        about = data[max(data.rfind(b"obj", 0, start.start()), 0) : start.start()]
        if b"/Length1" in about or b"/FlateDecode" not in about:
            continue
        try:
            yield zlib.decompressobj().decompress(memoryview(data)[start.end() :], _MOST)
        except zlib.error:
            continue


def _shown(stream: bytes) -> list[list[int]]:
    """The glyphs of each piece of text that a page shows, two bytes each."""
    found = []
    for array, single in _SHOWN.findall(stream):
        text = bytes.fromhex(b"".join(_GLYPHS.findall(array or single)).decode("ascii").ljust(4, "0"))
        found.append([int.from_bytes(text[at : at + 2], "big") for at in range(0, len(text) - 1, 2)])
    return found


def _characters(stream: bytes) -> dict[int, str]:
    """What each glyph of a font stands for."""
    found: dict[int, str] = {}
    for kind, body in _SECTION.findall(stream):
        codes = [code.decode("ascii") for code in _GLYPHS.findall(body)]
        if kind == b"char":
            found |= {int(glyph, 16): _text(text) for glyph, text in zip(codes[::2], codes[1::2], strict=False)}
        else:
            for first, last, text in zip(codes[::3], codes[1::3], codes[2::3], strict=False):
                start = int(text, 16)
                span = range(int(first, 16), min(int(last, 16), int(first, 16) + 0xFFFF) + 1)
                found |= {glyph: _text(f"{start + place:04x}") for place, glyph in enumerate(span)}
    return found


def _text(code: str) -> str:
    return bytes.fromhex(code.zfill(len(code) + len(code) % 2)).decode("utf-16-be", "replace")
