"""How many mails are built per second on one core, beside the same with premailer; how many are sent; what kills of the sender leave.

    python benchmarks/mail.py [--quick]

**Built**: from the report to finished ``.eml`` bytes.
The mail is the usual one: 5 products, 15 history items. Everything runs in one process on one core; time is processor time. Ours
and the peer's take turns, so that a busy machine slows both. What is built per message: the page from its template, its styles
put into its elements, the plain text, MIME parts, headers, and the bytes. The peer is given the same template and style sheet, and
uses premailer for the styles and the standard library for the message, as its documentation shows; it builds no plain text of
its own but takes ours. Its cache of parsed style sheets is on and its checks of them are off, which is how it is fastest.
**Sent**: through a real server (aiosmtpd) on loopback in a process of its own, which keeps nothing on a disk; wall time, with the journal
synced before each message. **Kills**: 10,000 messages, and 20 times a SIGKILL of the sender at a random moment (``--quick``: 500 and 3).
``two_or_more`` and ``lost`` must be 0, and ``in_doubt`` at most the number of kills; each of those is named by the journal. Without
aiosmtpd (``pip install -e '.[dev]'``) both are left out, and it says so.

The last line is one JSON object. Without premailer (``pip install -e '.[mailbench]'``) its figures are left out, and it says so.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import _one_thread  # noqa: F401 - before numpy
import _send
from render import explanation

from reportgen.config import Config
from reportgen.mail import render as ours
from reportgen.mail.page import mail_page
from reportgen.report.build import Reader, build_report
from reportgen.report.document import Report
from reportgen.report.html import render_page
from reportgen.report.words import words

DATE = datetime(2026, 6, 29, 8, 30, tzinfo=UTC)
TOKEN = "abcdefghijklmnopqrstuvwxyz234567"
RAW = {
    "operator": {
        "name": "Shop", "contact": "help@shop.test", "address": "1 Any Street",
        "links": {"non_personalised": "https://shop.test/plain", "change": "https://shop.test/me"},
    },
    "mail": {"from_address": "hello@shop.test", "unsubscribe": "https://shop.test/stop/{token}"},
}  # fmt: skip


def build(report: Report, config: Config) -> bytes:
    """Ours, from the report to the bytes."""
    mail = ours.render_mail(report, config=config)
    return ours.write_eml(ours.build_message(mail, "ann@example.test", config, TOKEN, DATE, run="r"))


def build_usual(report: Report, text: str) -> bytes:
    """The same page and style sheet, through premailer and the standard library."""
    from premailer import Premailer

    page = mail_page(report, words(report.locale), "cells", "")
    html = render_page("mail.html", ours._values(page, "Why you saw these products"))
    html = Premailer(
        html, keep_style_tags=False, cssutils_logging_level=logging.CRITICAL, disable_validation=True
    ).transform()
    message = EmailMessage(SMTP)
    message["From"], message["To"] = "Shop <hello@shop.test>", "ann@example.test"
    message["Subject"], message["Date"] = "Why you saw these products", DATE
    message["List-Unsubscribe"] = f"<https://shop.test/stop/{TOKEN}>"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message.as_bytes()


def seconds(work: Callable[[Report], bytes], reports: list[Report]) -> float:
    """Processor seconds per mail."""
    start = time.process_time()
    for report in reports:
        work(report)
    return (time.process_time() - start) / len(reports)


def measure(rounds: int, n: int) -> dict[str, float]:
    config = Config.from_dict(RAW)
    reports = [build_report(explanation(seed), config=config, reader=Reader(f"k{seed}")) for seed in range(n)]
    text = ours.render_mail(reports[0], config=config).text
    sizes = [len(build(report, config)) for report in reports]
    ways: dict[str, tuple[Callable[[Report], bytes], list[Report]]] = {
        "build": (lambda report: build(report, config), reports)
    }
    if has_peer():
        few = reports[: max(3, n // 20)]
        ways["premailer"] = (lambda report: build_usual(report, text), few)
        build_usual(reports[0], text)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (work, some) in ways.items():
            taken[name].append(seconds(work, some))
    found = {f"{name}/per_second": 1 / statistics.median(times) for name, times in taken.items()}
    if "premailer" in taken:
        ratios = [peer / own for peer, own in zip(taken["premailer"], taken["build"], strict=True)]
        found |= {
            "times_as_many": statistics.median(ratios),
            "times_as_many/least": min(ratios),
            "times_as_many/most": max(ratios),
        }
    return found | {"bytes_median": float(statistics.median(sizes)), "bytes_most": float(max(sizes))}


def measure_sending(count: int, killed: int, kills: int) -> dict[str, float]:
    """Messages per second through a server on loopback, and what everybody got from a sender that was killed."""
    with tempfile.TemporaryDirectory() as place:
        sent = _send.sent_per_second(Path(place), count)
    with tempfile.TemporaryDirectory() as place:
        left = _send.killed(Path(place), killed, kills)
    told = {f"sent/{name}": float(value) for name, value in sent.items()}
    told |= {f"kills/{name}": float(value) for name, value in left.items()}
    return told | {"kills/messages": float(killed), "kills/kills": float(kills)}


def has(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def has_peer() -> bool:
    return has("premailer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few mails, to see that it runs")
    quick = parser.parse_args().quick
    figures = measure(*((2, 10) if quick else (7, 200)))
    if has("aiosmtpd"):
        figures |= measure_sending(*((200, 500, 3) if quick else (2000, 10_000, 20)))
    for name, value in figures.items():
        print(f"{name:28} {value:12.2f}")
    if not has_peer():
        print("premailer is not installed: its figures are left out (pip install -e '.[mailbench]')")
    if not has("aiosmtpd"):
        print("aiosmtpd is not installed: nothing was sent (pip install -e '.[dev]')")
    told = {"python": platform.python_version(), "cores": str(os.cpu_count())}
    told |= {name: version(name) for name in ("css-inline", "premailer", "aiosmtpd") if has(name)}
    print(json.dumps({"benchmark": "mail", "figures": figures, "conditions": told}, sort_keys=True))


if __name__ == "__main__":
    main()
