"""What several verbs read: the tables, the configuration, the reference time."""

from __future__ import annotations

import argparse

from reportgen.config import Config, load_config
from reportgen.data.dataset import Dataset
from reportgen.errors import InputError
from reportgen.verbs.door import Door

_DAY = 86_400_000_000


def read_config(given: argparse.Namespace) -> Config:
    """The configuration that was named, or the defaults."""
    return load_config(given.config) if given.config else Config()


def read_data(given: argparse.Namespace, config: Config, door: Door) -> tuple[Dataset, int]:
    """Read the inputs and find the reference time.

    Raises
    ------
    InputError
    """
    with door.stage("read"):
        data = Dataset.from_files(given.events, given.items, given.users, config, not_after=door.now() + _DAY)
    if given.as_of is None and not data.timestamps.size:
        raise InputError("events: no usable event to take the reference time from; correct the rows or give --as-of")
    return data, int(data.timestamps.max()) if given.as_of is None else given.as_of
