"""Labelled sequences of a generated HDL-64E: scenes by seed, ray-cast in torch on any device.

`GeneratedScans` (source.py) gives scans by number, `write_sequences` (writing.py) writes them as SemanticKITTI's files.
"""
