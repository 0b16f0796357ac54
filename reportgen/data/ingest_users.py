"""The table of users alone, through the same checks: who said since the run that they want no mails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.config import Config
from reportgen.data.ingest_limits import connect, spill_folder, within_limits
from reportgen.data.ingest_load import check_settings
from reportgen.data.ingest_steps import Steps
from reportgen.data.schema import Problem
from reportgen.data.sources import Source


@dataclass(frozen=True, eq=False)
class UserTable:
    """The users of a table with U usable rows.

    Attributes
    ----------
    user_ids : ndarray (U,) of str
        Sorted by code point.
    opted_out : ndarray (U,) of bool
    problems : tuple of Problem
        Rows that could not be used; of somebody in one it is not known whether they opted out.
    """

    user_ids: np.ndarray
    opted_out: np.ndarray
    problems: tuple[Problem, ...]


def read_users(users: Sequence[Source], config: Config) -> UserTable:
    """Read a table of users.

    Raises
    ------
    InputError
        It cannot be used as a whole.
    """
    settings = config.input
    with spill_folder(settings) as folder, within_limits(settings), connect(folder, settings) as con:
        check_settings(con, config)
        steps = Steps(con, folder, config)
        steps.read_users(users)
        rows = con.execute(
            f"SELECT {steps.user_shape.id} AS id, coalesce(opted_out, FALSE) AS out FROM users ORDER BY id"
        ).fetchnumpy()
        problems = tuple(steps.ledgers["users"].problems)
    return UserTable(
        np.asarray(np.ma.getdata(rows["id"]), dtype=object),
        np.asarray(np.ma.getdata(rows["out"]), dtype=bool),
        problems,
    )
