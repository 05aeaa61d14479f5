"""Labelled scans: readers, writers, samples for training, augmentations and a generator of scenes.

Whatever gives scans is a `ScanSource` (scan.py): `SemanticKitti` from files, `GeneratedScans` from seeds.
"""
