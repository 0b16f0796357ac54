"""The usual way to make such a report, as a yardstick: pandas, pyplot, seaborn, PNG pictures in a Jinja string.

Written the way most notebooks and first versions are, in good faith: nothing here is slower than that way needs to be.
No file of the package imports it.
"""

from __future__ import annotations

import base64
import io

import jinja2
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

#: Columns of the weight table that are not features.
KEYS = ["item_title", "history_title", "weight"]

TEMPLATE = jinja2.Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Why you saw these products</title>
<style>body {font-family: sans-serif; max-width: 60rem; margin: auto} img {max-width: 100%}</style></head>
<body>
<h1>Why you saw these products</h1>
{% for item in items %}
<section>
<h2>{{ loop.index }}. {{ item.title }}</h2>
<p>Because of {{ item.first }} ({{ "%.0f" | format(100 * item.share) }} %).</p>
<img alt="Weights for {{ item.title }}" src="data:image/png;base64,{{ item.bars }}">
<img alt="Features for {{ item.title }}" src="data:image/png;base64,{{ item.heatmap }}">
</section>
{% endfor %}
</body>
</html>
"""
)


def naive_report(frame: pd.DataFrame) -> str:
    """Make one user's report.

    Parameters
    ----------
    frame : DataFrame
        One row per recommended item and history item: ``item_title, history_title, weight``, and one column per
        feature (numbers for the heatmap). Recommended items are shown in the order in which they occur.

    Returns
    -------
    str
        A whole HTML page; the pictures are PNG in base64.
    """
    items = []
    for title, rows in frame.groupby("item_title", sort=False):
        rows = rows.sort_values("weight", ascending=False)
        strongest = rows.iloc[0]
        items.append(
            {
                "title": title,
                "first": strongest["history_title"],
                "share": strongest["weight"] / rows["weight"].sum(),
                "bars": draw_bars(rows),
                "heatmap": draw_heatmap(rows),
            }
        )
    return TEMPLATE.render(items=items)


def draw_bars(rows: pd.DataFrame) -> str:
    fig, ax = plt.subplots(figsize=(7, 4))
    sns.barplot(data=rows, x="weight", y="history_title", color="steelblue", errorbar=None, ax=ax)
    ax.set(xlabel="weight", ylabel="")
    return as_png(fig)


def draw_heatmap(rows: pd.DataFrame) -> str:
    table = rows.set_index("history_title").drop(columns=[key for key in KEYS if key != "history_title"])
    fig, ax = plt.subplots(figsize=(7, 4))
    sns.heatmap(table, annot=True, fmt=".2f", cmap="cividis", ax=ax)
    ax.set(xlabel="", ylabel="")
    return as_png(fig)


def as_png(fig: Figure) -> str:
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(fig)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
