"""Attention and contributions out of trained models of other libraries: each module here loads its own library, and no other.

`torch`, `keras` and `implicit` make the long table that `reportgen.explain_foreign` reads, and where it can be, a scoring
callback. Nothing else in the package imports them.
"""
