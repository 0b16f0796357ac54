"""What ``build`` can be told about another system's lists or another model's weights. Light, like `reportgen.verbs.options`."""

from __future__ import annotations

import argparse


def add_tables(verb: argparse.ArgumentParser) -> None:
    """Add the tables, of which there is at most one, and what goes with it."""
    tables = verb.add_mutually_exclusive_group()
    tables.add_argument(
        "--recommendations", metavar="F", help="lists of another system, explained by our model in its place"
    )
    tables.add_argument("--weights", metavar="F", help="attention or contributions of another model, shown as they are")
    verb.add_argument(
        "--ablation", metavar="F", help="with --weights: that model's scores without single items, to measure effects"
    )


def add_foreign(build: argparse.ArgumentParser) -> None:
    """Add the tables, and how weights are read."""
    add_tables(build)
    add = build.add_argument
    add("--heads", default="mean", metavar="H", help="with --weights: mean, max, or the name of one (mean)")
    add("--layers", default="last", metavar="L", help="with --weights: last, mean, or the name of one (last)")
    add("--model-name", default="", metavar="NAME", help="with --weights: what the page calls the model")
    add("--model-version", default="", metavar="V", help="with --weights: its version")
    add("--softmax-pooled", action="store_true", help="with --weights: the score is the sum of weight times value")
