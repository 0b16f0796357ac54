"""Messages per second through a real server on loopback, and a sender that is killed again and again.

The functions return figures; a benchmark that calls them prints. The server runs in a process of its own, so that its work does not
count as the sender's. It answers at once and keeps nothing on a disk: the figure is what the sender costs, not what a server can do.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from reportgen.post.journal import Journal
from reportgen.post.journal_record import Binding, State, read_record
from reportgen.post.letters import Letter
from reportgen.post.send import Retries, Server, send

RUN = Binding("0" * 16, "c" * 64)
SENDER = "bounces@shop.test"
#: Writes one line per message that it took, before it answers, so that the count outlives any kill of the sender.
SERVER = """
import asyncio, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

class Take:
    async def handle_DATA(self, server, session, envelope):
        taken.write(envelope.rcpt_tos[0] + "\\n")
        taken.flush()
        return "250 taken"

taken = open(sys.argv[1], "a")
loop = asyncio.new_event_loop()
server = loop.run_until_complete(loop.create_server(lambda: SMTP(Take(), hostname="test", loop=loop), "127.0.0.1", 0))
print(server.sockets[0].getsockname()[1], flush=True)
loop.run_forever()
"""


def key_of(number: int) -> str:
    """A key of the form that pseudonyms have."""
    return "".join("234567abcdefghijklmnopqrstuvwxyz"[number >> 5 * k & 31] for k in range(24))


def body_of(kilobytes: int) -> bytes:
    """A message of two parts and so many kilobytes, without its ``To``."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["Subject"], message["Message-ID"] = SENDER, "Why we suggested this", "<1@shop.test>"
    message.set_content("One honest reason. " * 40)
    message.add_alternative("<p>One honest reason.</p>\n" * (kilobytes * 40), subtype="html")
    return message.as_bytes()


def outbox(count: int, body: bytes) -> Iterator[Letter]:
    """So many letters, each to an address of its own."""
    for number in range(count):
        to = f"reader{number}@shop.test"
        yield Letter(key_of(number), to, b"To: " + to.encode() + b"\r\n" + body)


@contextmanager
def server(taken: Path) -> Iterator[int]:
    """A server in a process of its own; yields its port."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(taken)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def run(journal: Path, port: int, count: int, kilobytes: int) -> int:
    """Send; return how many messages were taken."""
    with Journal(journal, RUN) as open_journal:
        found = send(
            outbox(count, body_of(kilobytes)),
            Server("127.0.0.1", port, "none"),
            open_journal,
            sender=SENDER,
            rate=1e6,
            retries=Retries(),
            clock=time.monotonic,
            sleep=time.sleep,
        )
    return found.sent


def sent_per_second(folder: Path, count: int = 2000, kilobytes: int = 30) -> dict[str, float]:
    """Messages per second of wall time, milliseconds of CPU of the sender for each, and journal bytes for each."""
    journal = folder / "journal"
    with server(folder / "taken") as port:
        wall, cpu = time.perf_counter(), time.process_time()
        sent = run(journal, port, count, kilobytes)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    begun = time.perf_counter()
    read_record(journal)
    return {
        "per_second": sent / wall,
        "cpu_ms_each": 1000 * cpu / sent,
        "journal_bytes_each": journal.stat().st_size / sent,
        "resume_seconds": time.perf_counter() - begun,
    }


def killed(folder: Path, count: int = 10_000, kills: int = 20, seed: int = 0) -> dict[str, int]:
    """Send with so many SIGKILLs of the sender, at random moments, and count what everybody got.

    Returns
    -------
    dict
        ``one``: people with one message on record; ``in_doubt``: named by the journal, of which ``doubt_arrived`` had got one;
        ``two_or_more`` and ``lost`` (none, and not named) must be 0.
    """
    journal, taken, chance = folder / "journal", folder / "taken", random.Random(seed)
    with server(taken) as port:
        for kill in range(kills):
            child = os.fork()
            if not child:
                run(journal, port, count, 5)
                os._exit(0)
            goal = (kill + 1) * count // (kills + 1)
            while lines(taken) < goal:
                time.sleep(0.001)
            time.sleep(chance.random() * 0.01)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        run(journal, port, count, 5)
    got = Counter(taken.read_text("ascii").split())
    states = read_record(journal).states
    doubts = {n for n in range(count) if states.get(key_of(n)) is State.IN_DOUBT}
    copies = {n: got[f"reader{n}@shop.test"] for n in range(count)}
    return {
        "one": sum(copies[n] == 1 and n not in doubts for n in copies),
        "in_doubt": len(doubts),
        "doubt_arrived": sum(copies[n] for n in doubts),
        "two_or_more": sum(number > 1 for number in copies.values()),
        "lost": sum(copies[n] == 0 and n not in doubts for n in copies),
    }


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


if __name__ == "__main__":
    import json
    import tempfile

    for measured in (sent_per_second, killed):
        with tempfile.TemporaryDirectory() as place:
            print(json.dumps({measured.__name__: measured(Path(place))}))
