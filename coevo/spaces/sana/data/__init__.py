"""Data: procedural scenes with exact captions, prompts in GenEval's categories, an exact oracle, folders of images."""
