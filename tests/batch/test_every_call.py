"""A run that is ended at a system call, told an error by one, or loses a sync: some of what `benchmarks/every_call.py` does at each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(("form", "every"), [("files", "20"), ("packs", "120")])
def test_no_call_is_a_bad_moment(form: str, every: str, repository: Path, need_tool: Callable[[str, str], str]) -> None:
    need_tool("strace", "apt-get install strace")
    script = repository / "benchmarks" / "every_call.py"
    ran = subprocess.run(
        [sys.executable, str(script), "--form", form, "--every", every], capture_output=True, text=True, check=False
    )
    if "strace cannot trace here" in ran.stderr:
        pytest.skip("the system does not let strace attach to processes")
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout.splitlines()[-1])["figures"]
    assert figures["violations"] == 0
    assert figures[f"{form}/kill"] >= 8
    assert figures["ended/kill/-9"] == figures[f"{form}/kill"]
    assert figures["ended/EIO/1"] == figures[f"{form}/EIO"] >= 3, "each failed sync ended the run"
