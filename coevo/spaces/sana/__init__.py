"""Linear diffusion transformers for images, grown, pruned and scaled by search (Sana, arXiv 2410.10629; Sana-1.5, arXiv
2501.18427)."""
