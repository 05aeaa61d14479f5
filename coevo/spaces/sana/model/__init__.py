"""Sana's transformer: its configuration, its layers, its checkpoints and its costs."""
