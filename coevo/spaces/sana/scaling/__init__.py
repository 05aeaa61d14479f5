"""Inference-time scaling: many samples of a prompt, a verifier that chooses, an oracle that it never sees.

`estimators.py` best-of-N without bias; `tournament.py` choosing by comparisons; `verifiers.py` who scores; `budget.py`
sampling for so many seconds, verification counted.
"""
