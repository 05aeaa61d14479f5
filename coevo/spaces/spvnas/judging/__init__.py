"""What judges a design: closed forms, the latency table, the supernet's weights, a clock."""

from coevo.spaces.spvnas.judging.inherited import InheritedScores
from coevo.spaces.spvnas.judging.measured import compile_network, network_ms, peak_memory_mib
from coevo.spaces.spvnas.judging.memory import memory_mib

__all__ = ["InheritedScores", "compile_network", "memory_mib", "network_ms", "peak_memory_mib"]
