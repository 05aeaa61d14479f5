"""Kernel maps: which input row meets which output row at which offset."""
