"""``reportgen.toml``: frozen settings, checked when read. A wrong key or value is an error that names the remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from reportgen.checks import (
    below,
    checked,
    keys_of,
    no_encoding,
    no_fonts,
    no_link,
    no_picture_path,
    no_regex,
    no_zone,
    plain_data,
    read_toml,
    safe_url,
    short_features,
    table,
    unknown,
    unlike,
)
from reportgen.config_audit import LAW_PACKS, Audit
from reportgen.config_columns import AblationConfig, RecommendationsConfig, WeightsConfig
from reportgen.errors import ConfigError
from reportgen.languages import LOCALES, choose_locale, unavailable

__all__ = ["Config", "load_config", "safe_url"]

EVENT_COLUMNS = ("user_id", "item_id", "timestamp", "event_type", "quantity", "rating", "order_id", "source")
ITEM_FLAGS = ("sensitive", "sponsored", "price_personalised")
ITEM_TEXTS = ("category", "brand", "currency", "url", "description")
ITEM_COLUMNS = ("item_id", "title", *ITEM_TEXTS, "price", "tags", *ITEM_FLAGS)
USER_COLUMNS = ("user_id", "name", "email", "locale", "opted_out")
PAGE_FIELDS = ("brand", "category", "price", "date", "event")
RECORD_FIELDS = ("item_id", "title", "date", "event", "support")
EVENT_VALUES = {"purchase": 1.0, "cart": 0.5, "view": 0.2, "rating": 1.0, "return": -1.0, "hide": -1.0}
_MACHINE = ("memory_limit", "threads", "spill_folder", "spill_limit")
_SIZE = r"[1-9][0-9]*(\.[0-9]+)? ?[MGT]i?B"
# The names of the carrier's own columns, and the kinds that their form allows.
_FIXED_KIND: dict[str, tuple[str, ...]] = (
    dict.fromkeys(("item_id", "title", "in_catalogue", *ITEM_FLAGS), ())
    | dict.fromkeys(ITEM_TEXTS, ("category", "text"))
    | {"price": ("price",), "tags": ("tags",)}
)
Kind = Literal["category", "tags", "text", "price"]


@dataclass(frozen=True)
class InputConfig:
    """How files are read."""

    id_type: Literal["", "text"] = ""
    encoding: str = checked("utf-8", no_encoding)
    delimiter: str = checked("", unlike('|[^"\r\n]', "one character other than a quote or a line end"))
    timezone: str = checked("UTC", no_zone)
    time_unit: Literal["", "s", "ms", "us"] = ""
    timestamp_format: str = ""
    earliest: date = date(1990, 1, 1)
    max_ratio: float = checked(200.0, below(1))
    max_cell: int = checked(100_000, below(1))
    max_rows: int = checked(1_000_000_000, below(1))
    memory_limit: str = checked("1.5GB", unlike(_SIZE, 'a size such as "500MB" or "1.5GB"'))
    threads: int = checked(0, below(0))
    spill_folder: str = ""
    spill_limit: str = checked("64GB", unlike(_SIZE, 'a size such as "500MB" or "1.5GB"'))


@dataclass(frozen=True)
class Exclude:
    """Rows left out on purpose: ``column`` holds one of ``values``, matches ``pattern``, or is ``at_most`` a number."""

    reason: str
    column: str
    values: tuple[str, ...] = ()
    pattern: str = checked("", no_regex)
    at_most: float | None = None


@dataclass(frozen=True)
class Returns:
    """What counts as given back or disliked."""

    negative_quantity: bool = True
    order_id_prefix: str = ""
    low_rating: float = 2.0


@dataclass(frozen=True)
class EventsConfig:
    """Columns, types and values of events."""

    columns: dict[str, str] = field(default_factory=dict, metadata=keys_of(EVENT_COLUMNS))
    types: dict[str, str] = field(default_factory=dict)
    default_type: str = "purchase"
    values: dict[str, float] = field(default_factory=dict)
    returns: Returns = Returns()
    exclude: tuple[Exclude, ...] = ()

    def value_of(self) -> dict[str, float]:
        """Value per event type: the usual ones, overridden and extended by the file."""
        return EVENT_VALUES | self.values


@dataclass(frozen=True)
class ItemsConfig:
    """Columns of the catalogue, and what to do about an item id that occurs twice."""

    columns: dict[str, str] = field(default_factory=dict, metadata=keys_of(ITEM_COLUMNS))
    on_duplicate: Literal["error", "first", "last", "most_frequent"] = "error"
    exclude: tuple[Exclude, ...] = ()
    tags_separator: str = checked(",", unlike(".+", "at least one character"))


@dataclass(frozen=True)
class UsersConfig:
    """Columns of the table of users; ``segments`` are kept beside them."""

    columns: dict[str, str] = field(default_factory=dict, metadata=keys_of(USER_COLUMNS))
    segments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feature:
    """A column of the catalogue that the scorer looks at."""

    kind: Kind
    column: str = ""
    label: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """What is sensitive beyond the catalogue's own flag: categories and titles, and events from a ``source`` such as "gift"."""

    category: tuple[str, ...] = ()
    title_pattern: str = checked("", no_regex)
    source: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fields:
    """Which fields of the catalogue and of the events may be written: in the words of a page, and in its record of numbers."""

    page: tuple[str, ...] = field(default=PAGE_FIELDS, metadata=keys_of(PAGE_FIELDS))
    record: tuple[str, ...] = field(default=RECORD_FIELDS, metadata=keys_of(RECORD_FIELDS))


@dataclass(frozen=True)
class Privacy:
    """What a page may show."""

    sensitive: Literal["fold", "exclude", "show"] = "fold"
    support_floor: int = checked(5, below(0))
    show_name: bool = True
    rules: Rules = Rules()
    fields: Fields = Fields()


@dataclass(frozen=True)
class Links:
    """Where the reader can act."""

    change: str = checked("", no_link)
    object: str = checked("", no_link)
    switch_off: str = checked("", no_link)
    non_personalised: str = checked("", no_link)
    complaint: str = checked("", no_link)


@dataclass(frozen=True)
class Operator:
    """Who answers for the recommendations."""

    name: str = ""
    purpose: str = ""
    contact: str = ""
    address: str = ""
    retention: str = ""
    links: Links = Links()


@dataclass(frozen=True)
class Look:
    """The operator's look; ``logo`` is only a path here, opened by the page's own guarded reader."""

    accent: str = checked("", unlike("|#[0-9a-fA-F]{6}", "a colour like #1a2b3c"))
    font: str = checked("", no_fonts)
    footer: str = ""
    logo: str = checked("", no_picture_path)
    logo_alt: str = ""
    paper: Literal["A4", "Letter"] = "A4"


@dataclass(frozen=True)
class MailConfig:
    """E-mailed summaries; what a mail needs beyond ``[operator]`` is asked for where one is made (`mail/setup.py`)."""

    from_address: str = ""
    from_name: str = ""
    reply_to: str = ""
    postal_address: str = ""
    list_id: str = ""
    unsubscribe: str = ""
    unsubscribe_address: str = ""
    merge_unsubscribe: str = "{{unsubscribe_url}}"
    subject: dict[str, str] = field(default_factory=dict, metadata=keys_of(LOCALES))


@dataclass(frozen=True)
class ReportConfig:
    """What one report holds."""

    n: int = checked(5, below(1))
    reasons: int = checked(6, below(1))
    history_cap: int = checked(200, below(1))
    locale: str = checked("en", unavailable)
    title_length: int = checked(120, below(8))
    synthetic: bool = False

    def __post_init__(self) -> None:
        # "en-GB" and "zh" are kept as the language that serves them, so that equal settings are equal
        object.__setattr__(self, "locale", choose_locale(self.locale) or self.locale)


@dataclass(frozen=True)
class Config:
    """All settings; ``Config()`` are the defaults."""

    input: InputConfig = InputConfig()
    events: EventsConfig = EventsConfig()
    items: ItemsConfig = ItemsConfig()
    users: UsersConfig = UsersConfig()
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    recommendations: RecommendationsConfig = field(default_factory=RecommendationsConfig)
    ablation: AblationConfig = field(default_factory=AblationConfig)
    features: dict[str, Feature] = field(default_factory=dict)
    privacy: Privacy = Privacy()
    operator: Operator = Operator()
    look: Look = Look()
    mail: MailConfig = MailConfig()
    report: ReportConfig = ReportConfig()
    audit: Audit = field(default_factory=Audit)

    @classmethod
    def from_dict(cls, raw: dict[str, Any], source: str = "configuration") -> Config:
        """Check plain tables as read from TOML; ``source`` is named in errors."""
        config: Config = table(cls, short_features(raw), source, "")
        _cross_check(config, source)
        return config

    def to_dict(self) -> dict[str, Any]:
        """Plain data with sorted free keys, the same for equal settings: fit for JSON and for a manifest.

        How much of this machine the reader may take changes no byte of any output and is left out; so are folders of law packs.
        """
        plain: dict[str, Any] = plain_data(asdict(self))
        plain["input"] = {name: value for name, value in plain["input"].items() if name not in _MACHINE}
        plain["audit"]["law_packs"] = [name.rpartition("/")[2] for name in plain["audit"]["law_packs"]]
        return plain


def _cross_check(config: Config, source: str) -> None:
    """Settings that must fit each other."""
    known = config.events.value_of()
    for word in (config.events.default_type, *config.events.types.values()):
        if word not in known:
            raise ConfigError(f"{source}: [events] {unknown(word, known)}; or give it a value in [events.values]")
    for rule in (*config.events.exclude, *config.items.exclude):
        if sum((bool(rule.values), bool(rule.pattern), rule.at_most is not None)) != 1:
            raise ConfigError(f'{source}: exclude "{rule.reason}" needs exactly one of values, pattern, at_most')
    if config.look.logo and not (config.look.logo_alt.strip() or config.operator.name.strip()):
        raise ConfigError(
            f"{source}: [look] logo needs words for those who cannot see it; set logo_alt or [operator] name"
        )
    for name, feature in config.features.items():
        usual = _FIXED_KIND.get(name, (feature.kind,))
        if feature.kind not in usual:
            allowed = " or ".join(f'"{kind}"' for kind in usual) or "another name"
            raise ConfigError(f'{source}: [features] {name} = "{feature.kind}" is not allowed; allowed: {allowed}')


def load_config(path: str | PathLike[str]) -> Config:
    """Read and check a TOML file. A relative path in it starts at the folder of the file.

    Raises
    ------
    ConfigError
        Names the file, section, key and remedy.
    """
    config, folder = Config.from_dict(read_toml(path), str(path)), Path(path).parent
    packs = tuple(name if name in LAW_PACKS else str(folder / name) for name in config.audit.law_packs)
    logo = config.look.logo and str(folder / config.look.logo)
    return replace(config, look=replace(config.look, logo=logo), audit=replace(config.audit, law_packs=packs))
