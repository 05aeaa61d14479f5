"""Weights: the SuperCircuit's, those inherited and fine-tuned, and those trained from scratch."""
