"""Real servers on the loopback that runs are copied to and read from, each a process of its own that can be killed at any moment.

FTP is pyftpdlib's; HTTP is aiohttp's own server with its static files, which knows ranges. Run as a script, this file is the server.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER = "shop"
#: Every sign that could end a password too early, or be taken for another part of a URL.
PASSWORD = "s3cr:t@n/d ?#%41é"
QUOTED = "s3cr%3At%40n%2Fd%20%3F%23%2541%C3%A9"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Answered:
    """One request that an HTTP server has answered."""

    method: str
    path: str
    range: str
    status: int
    bytes: int


@dataclass
class Server:
    """A server that runs; `root` is the folder behind it."""

    process: subprocess.Popen[str]
    root: Path
    port: int
    log: Path

    def url(self, kind: str, path: str = "run", who: str = "") -> str:
        return f"{kind}://{who}{HOST}:{self.port}/{path}"

    def answered(self, expected: int = 0) -> list[Answered]:
        """The requests since the last time. The server notes one after it has answered, so an expected number is waited for."""
        for _ in range(500):
            lines = self.log.read_text("utf-8").splitlines()
            if len(lines) >= expected:
                break
            time.sleep(0.01)
        self.log.write_text("")
        return [Answered(**json.loads(line)) for line in lines]


@contextmanager
def serving(kind: str, root: Path, *more: str) -> Iterator[Server]:
    """A server of a folder as long as the block lasts: ``ftp`` or ``http``."""
    root.mkdir(exist_ok=True)
    log = root.with_name(f"{root.name}.log")
    log.touch()
    command = [sys.executable, __file__, kind, str(root), str(log), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield Server(process, root, int(process.stdout.readline()), log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# --- the servers themselves


def serve_ftp(given: argparse.Namespace) -> None:
    """Files of one user; killed by itself in the middle of a file after so many bytes, if that is asked for."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import DTPHandler, FTPHandler
    from pyftpdlib.servers import FTPServer

    class Data(DTPHandler):  # type: ignore[misc]
        taken = 0

        def recv(self, size: int) -> bytes:
            chunk: bytes = super().recv(size)
            Data.taken += len(chunk)
            if given.die_after is not None and Data.taken > given.die_after:
                os.kill(os.getpid(), signal.SIGKILL)
            return chunk

        def use_sendfile(self) -> bool:
            return False

    class Handler(FTPHandler):  # type: ignore[misc]
        authorizer = DummyAuthorizer()
        dtp_handler = Data
        auth_failed_timeout = 0

        def on_file_received(self, file: str) -> None:
            with given.log.open("a", encoding="utf-8") as log:
                log.write(f"{Path(file).relative_to(given.root.resolve()).as_posix()}\n")

    if given.most is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (given.most, given.most))
    Handler.authorizer.add_user(USER, PASSWORD, str(given.root), perm="elradfmwMT")
    server = FTPServer((HOST, 0), Handler)
    _tell(server.socket.getsockname()[1])
    server.serve_forever()


def serve_http(given: argparse.Namespace) -> None:
    """Static files, with a line in the log for each answer; without ranges, or behind a password, if that is asked for."""
    from aiohttp import web
    from aiohttp.abc import AbstractAccessLogger

    class Log(AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:  # noqa: ARG002
            told = Answered(
                request.method, request.path, request.headers.get("Range", ""), response.status, response.content_length
            )
            with given.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(vars(told)) + "\n")

    async def answer(request: web.Request) -> web.StreamResponse:
        wanted = b64encode(f"{USER}:{PASSWORD}".encode("latin-1")).decode()  # as aiohttp sends it
        if given.locked and request.headers.get("Authorization") != f"Basic {wanted}":
            return web.Response(status=401, text="who are you?")
        path = given.root / request.match_info["path"]
        if not path.is_file():
            return web.Response(status=404)
        return web.Response(body=path.read_bytes()) if given.no_ranges else web.FileResponse(path)

    import asyncio

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, access_log_class=Log, access_log=_log())
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        _tell(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def _tell(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def _log() -> Any:
    import logging

    log = logging.getLogger("answers")
    log.setLevel(logging.INFO)
    return log


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("ftp", "http"))
    parser.add_argument("root", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--die-after", type=int, help="FTP: bytes received, after which it kills itself")
    parser.add_argument("--most", type=int, help="FTP: the longest file that the system lets it write")
    parser.add_argument("--no-ranges", action="store_true", help="HTTP: every answer is a whole file")
    parser.add_argument("--locked", action="store_true", help="HTTP: behind name and password")
    chosen = parser.parse_args()
    {"ftp": serve_ftp, "http": serve_http}[chosen.kind](chosen)
