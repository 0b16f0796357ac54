"""``benchmarks/foreign.py`` runs without data and network, and its measures find what is known."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "foreign.py"
#: Runs a script as if RecBole and transformers were not installed.
WITHOUT = """
import importlib.util, runpy, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in ("recbole", "transformers") else found(name, package)
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_the_table_on_the_made_up_shop(library: Callable[[str], ModuleType]) -> None:
    library("torch")
    command = [sys.executable, str(SCRIPT), "--data", "shop", "--quick", "--users", "8"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    figures = found["figures"]
    assert found["benchmark"] == "foreign"
    # The closed form is exact for a pooled score, which only holds if weights, values and the effects are all right.
    assert figures["nais/closed_form/tau"] == pytest.approx(1.0, abs=0.01)
    assert figures["nais/closed_form/largest_error"] < 1e-3
    assert figures["ours/contributions/tau"] > 0.8
    for model in ("sasrec", "nais", "ours"):
        assert abs(figures[f"{model}/random/tau"]) < 0.5
        assert f"{model}/hit@10" in figures
    assert {"sasrec/attention_last/tau", "sasrec/attention_rollout/top3", "overhead/sasrec"} <= figures.keys()


@pytest.mark.slow
def test_models_of_libraries_are_passed_over_in_words(library: Callable[[str], ModuleType]) -> None:
    library("torch")
    command = [sys.executable, "-c", WITHOUT, str(SCRIPT), "--data", "shop", "--quick"]
    command += ["--models", "recbole", "bert4rec"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    for name, line in zip(("recbole", "bert4rec"), lines[:2], strict=True):
        assert line.startswith(f"{name}: passed over, its library is not installed (pip install ")
    assert json.loads(lines[-1])["figures"] == {}
