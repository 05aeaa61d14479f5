"""Asks who listens at an address: `python -P knock.py HOST:PORT`, or `ray://HOST:PORT`. Prints {} where Ray does, else
{"refused": why}; whatever else listens there gets no answer out of it.

In a process of its own, because Ray's client waits for whom it cannot understand for minutes, with the signals held
back, and settles how it authenticates once a process.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def knock(address: str) -> dict[str, str]:
    try:
        if address.startswith("ray://"):
            grpc: Any = importlib.import_module("grpc")
            grpc.channel_ready_future(grpc.insecure_channel(address.removeprefix("ray://"))).result()
        else:
            raylet: Any = importlib.import_module("ray._raylet")
            raylet.GcsClient(address=address).internal_kv_get(b"CLUSTER_METADATA", b"cluster")
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    return {}


if __name__ == "__main__":
    print(json.dumps(knock(sys.argv[1])), flush=True)
