"""Imported for its effect, before numpy: linear algebra then runs on one thread, ours and the peers' alike."""

from __future__ import annotations

import os

THREADS = 1
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = str(THREADS)
