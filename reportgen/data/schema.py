"""What a table must hold, and the list of what was found wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from reportgen.checks import nearest
from reportgen.config import EVENT_COLUMNS, ITEM_COLUMNS, USER_COLUMNS
from reportgen.config_columns import ABLATION_NEEDED, LISTS_MORE, LISTS_NEEDED, WEIGHTS_MORE, WEIGHTS_NEEDED
from reportgen.errors import InputError

EXAMPLE_LENGTH = 60
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")


@dataclass(frozen=True)
class Problem:
    """One kind of trouble in one table.

    Attributes
    ----------
    table : str
        ``events``, ``items`` or ``users``.
    reason : str
        A stable code such as ``empty_user_id``.
    count : int
        Rows concerned.
    rows : tuple of int
        Up to five first row numbers; row 1 is the first after the header.
    example : str
        One offending value, shortened and made safe to print.
    remedy : str
        What to do, one sentence.
    kept : bool
        True for a notice about rows that stay in; False for rows set aside.
    file : str
        Name of the file of the first row (no folder), "" for frames.
    """

    table: str
    reason: str
    count: int
    rows: tuple[int, ...] = ()
    example: str = ""
    remedy: str = ""
    kept: bool = False
    file: str = ""


@dataclass(frozen=True)
class TableSpec:
    """The columns of one input table, by our names."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    ids: tuple[str, ...]


EVENTS = TableSpec("events", EVENT_COLUMNS[:3], EVENT_COLUMNS[3:], ("user_id", "item_id"))
ITEMS = TableSpec("items", ITEM_COLUMNS[:2], ITEM_COLUMNS[2:], ("item_id",))
USERS = TableSpec("users", USER_COLUMNS[:1], USER_COLUMNS[1:], ("user_id",))
WEIGHTS = TableSpec("weights", WEIGHTS_NEEDED, WEIGHTS_MORE, ("user_id", "item_id", "history_item_id"))
RECOMMENDATIONS = TableSpec("recommendations", LISTS_NEEDED, LISTS_MORE, ("user_id", "item_id"))
ABLATION = TableSpec("ablation", ABLATION_NEEDED, (), ("user_id", "item_id", "removed_item_id"))

REMEDIES = {
    "empty_user_id": "Fill in the user id, or leave such rows out with [[events.exclude]].",
    "blank_user_id": "A user id of spaces only cannot be told apart on paper; give it a real id.",
    "empty_item_id": "Fill in the item id.",
    "blank_item_id": "An item id of spaces only cannot be told apart on paper; give it a real id.",
    "id_not_whole": "The id column is stored as a floating point number; store it as text or as a whole number.",
    "cell_too_long": "A cell is longer than [input] max_cell; shorten it or raise the limit.",
    "excluded": "Left out on purpose by the configuration.",
    "empty_timestamp": "Fill in the timestamp.",
    "unreadable_timestamp": "Write times like 2026-01-31T10:00:00+01:00, or set [input] timestamp_format.",
    "timestamp_is_number": 'Plain numbers are accepted as times only with [input] time_unit = "s", "ms" or "us".',
    "timestamp_out_of_range": "The time lies before [input] earliest or after the run; check [input] time_unit.",
    "unknown_event_type": "Add a line under [events.types], or give the type a value under [events.values].",
    "empty_event_type": "Counted as [events] default_type.",
    "quantity_not_a_number": "Write numbers like 1234.5: no thousands separator, a point and not a decimal comma.",
    "quantity_not_finite": "Write a finite number.",
    "zero_quantity": "An event of nothing is no evidence; correct the quantity or leave the row out.",
    "negative_quantity": "Set [events.returns] negative_quantity = true to read these rows as returns.",
    "empty_quantity": "Counted as 1.",
    "rating_not_a_number": "Write numbers like 4.5: a point and not a decimal comma.",
    "rating_not_finite": "Write a finite number.",
    "rating_missing": "A rating event needs a rating.",
    "duplicate_row": "Every used column repeats an earlier row; only the first counts.",
    "ragged_row": "The row has another number of cells than the header; quote cells that hold the delimiter.",
    "nul_bytes": "NUL bytes were replaced by U+FFFD.",
    "unknown_item": "The item is not in the catalogue: it counts but has no title and is never recommended; add it to the items table.",
    "after_as_of": "Events after the reference time are not used.",
    "empty_title": "The item has no title and is shown as such; fill it in.",
    "duplicate_item": "Several rows describe the same item; [items] on_duplicate says which one counts.",
    "price_not_a_number": "The price counts as missing; write numbers like 1234.5 with a point.",
    "flag_unreadable": "The flag counts as set, to be careful; write true or false.",
    "unsafe_url": "The link is not shown; only https and mailto links without user info are.",
    "duplicate_user": "Several rows describe the same user: the first counts, an opt-out in any of them holds.",
    "unknown_user": "Nobody of that id is among the events or users; ids are text and compared exactly (007 is not 7).",
    "unknown_pick": "The recommended item is neither in the catalogue nor in an event, so it cannot be shown; add it to the items.",
    "weight_missing": "The product is left out as a whole; an empty weight or NaN mostly means attention that was never computed.",
    "weight_not_finite": "Write finite numbers; infinity mostly comes from half precision. The product is left out as a whole.",
    "weight_negative": "Attention cannot be negative; if these are signed contributions, write contribution in the column kind.",
    "weights_all_zero": "No weight is left to show; the product is left out.",
    "weights_not_one": "The weights of a product do not sum to 1; they are shown as shares of their sum, and the page says so.",
    "padding_position": "A weight on an empty history_item_id; it is shown as positions that are no products.",
    "not_an_item": "The history_item_id is no item that the data know (a marker of the model?); it is shown as such, without a name.",
    "history_id_broken": "An id that is no whole number or too long; the product is left out as a whole.",
    "not_in_history": "The model looked at an item that this user's events do not hold; check that table and events belong together.",
    "duplicate_weight": "The row repeats an earlier one for the same position, head and layer; only the first counts.",
    "several_rows": "Rows for one history item are added up: several positions.",
    "contradicting_rows": "Two rows for the same position, head and layer differ; the product is left out as a whole.",
    "contradicting_scores": "Rows of one product give it different scores, bases or ranks; the first counts.",
    "sum_differs": "Base and contributions do not sum to the score; the page shows what is missing.",
    "duplicate_pick": "The same item stands twice in one list; its first place counts.",
    "rank_not_a_rank": "A rank is a whole number from 1; the order of the rows counts instead.",
    "score_not_a_number": "The score counts as missing; write numbers like 1234.5 with a point.",
    "not_in_table": "The item removed is none that the weights name; the row is not used.",
}


def show(value: object) -> str:
    """Shorten a value for a message and escape what must not be printed."""
    text = _UNSHOWABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", str(value)[: EXAMPLE_LENGTH + 1])
    return text if len(text) <= EXAMPLE_LENGTH else text[: EXAMPLE_LENGTH - 1] + "…"


def missing_rule_column(spec: TableSpec, wanted: str, present: Iterable[str], file: str) -> InputError:
    """Build the error for a rule of exclusion on a column that is not there; any column may be meant."""
    names = [name for name in present if name]
    hint = f'; the nearest is "{show(near)}"' if (near := nearest(wanted, names)) else ""
    told = f'{file}: the {spec.name} have no column "{show(wanted)}" that [[{spec.name}.exclude]] names{hint}'
    return InputError(f"{told}. Found: {show_list(names)}")


def missing_column(spec: TableSpec, ours: str, wanted: str, present: Iterable[str], file: str) -> InputError:
    """Build the error for a column that is not there: nearest column present, and the line to write.

    A column that has one of our own names is that one, so it is no remedy for another.
    """
    names = [name for name in present if name]
    near = nearest(wanted, [name for name in names if name not in (*spec.required, *spec.optional)])
    hint = f'; the nearest is "{show(near)}": write {ours} = "{show(near)}" under [{spec.name}.columns]'
    hint = hint if near else f"; write the name of its column as {ours} under [{spec.name}.columns]"
    return InputError(f'{file}: the {spec.name} have no column "{show(wanted)}"{hint}. Found: {show_list(names)}')


def show_list(names: Iterable[str], most: int = 12) -> str:
    """List column names, no more than a dozen."""
    shown = [show(name) for name in names]
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")
