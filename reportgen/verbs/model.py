"""A scorer as the configuration wants it."""

from __future__ import annotations

from pathlib import Path

from reportgen.attention.features import DEFAULT_FEATURES
from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import load_model, save_model
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.schema import show
from reportgen.errors import ConfigError, OutputError


def features_of(data: Dataset, config: Config) -> dict[str, tuple[str, str]] | None:
    """Features to look at: None for the usual ones, else those that the catalogue has and the configured ones.

    Raises
    ------
    ConfigError
        The catalogue has no such column.
    """
    if not config.features:
        return None
    columns = data.catalogue.columns
    usual = {name: (name, kind) for name, kind in DEFAULT_FEATURES.items() if name in columns}
    own = {name: (feature.column or name, feature.kind) for name, feature in config.features.items()}
    # `Dataset` keeps a configured column under the feature's own name.
    own = {name: (name if name in columns else column, kind) for name, (column, kind) in own.items()}
    missing = next((column for column, _ in own.values() if column not in columns), None)
    if missing is not None:
        raise ConfigError(f'[features]: the items have no column "{show(missing)}"; name one that they have')
    return usual | own


def make_scorer(data: Dataset, config: Config) -> AttentionScorer:
    """A scorer that is not fitted yet."""
    return AttentionScorer(
        features=features_of(data, config),
        min_support=config.privacy.support_floor,
        history_cap=config.report.history_cap,
    )


def fit_scorer(data: Dataset, config: Config, as_of: int) -> AttentionScorer:
    """Fit on what was known at the reference time."""
    return make_scorer(data, config).fit(data.until(as_of))


def scorer_of(model: Path | None, data: Dataset, config: Config, as_of: int) -> AttentionScorer:
    """The model that was named, or one that is fitted.

    Raises
    ------
    ModelError
    """
    return fit_scorer(data, config, as_of) if model is None else load_model(model)


def store_model(scorer: AttentionScorer, folder: Path, overwrite: bool) -> str:
    """Save a model where no other one lies, or in its place with leave to overwrite; return its id.

    Raises
    ------
    OutputError
    """
    check_model_folder(folder, overwrite)
    try:
        return save_model(scorer, folder)
    except OSError as error:
        raise OutputError(f"{folder}: the model cannot be written ({error.strerror}); name another --model") from error


def check_model_folder(folder: Path, overwrite: bool) -> None:
    """Say before any work whether a model may be saved there.

    Raises
    ------
    OutputError
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder with --model")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "model.json").is_file():
        raise OutputError(f"{folder} is not empty and holds no model; name an empty or new folder with --model")
    if not overwrite:
        raise OutputError(f"{folder} holds a model; name another folder with --model, or replace it with --overwrite")
