"""The one tree of errors. The command line turns each into one line and an exit code."""

from __future__ import annotations


class ReportgenError(Exception):
    """Base of every error that reportgen raises on purpose.

    The message names what was found, what is allowed and the remedy, in one or two sentences.
    """

    exit_code = 1


class ConfigError(ReportgenError):
    """A setting in ``reportgen.toml`` or on the command line cannot be used."""


class InputError(ReportgenError):
    """A table cannot be used as a whole: missing column, unreadable file, nothing left in it."""


class ModelError(ReportgenError):
    """A stored model cannot be read, or does not fit the data it is used with."""


class OutputError(ReportgenError):
    """The output folder cannot be written, or holds something that must not be overwritten."""


class RenderError(ReportgenError):
    """A report could not be turned into a page."""
