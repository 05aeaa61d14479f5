"""Pictures: a design beside its source, grids of samples, curves of growth and pruning, the front."""
