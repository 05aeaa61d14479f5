"""Where measured tables of this device are kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def table_path(identity: Sequence[Any]) -> Path:
    """$COEVO_CACHE/latency/<digest of identity>.json, else below $XDG_CACHE_HOME/coevo or ~/.cache/coevo.

    Args:
        identity: plain JSON: the device's fingerprint and whatever else measured times depend on.
    """
    given = os.environ.get("COEVO_CACHE")
    home = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coevo"
    text = json.dumps(list(identity), sort_keys=True)
    return home / "latency" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
