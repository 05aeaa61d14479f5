"""What leaves coevo: folders in diffusers' layout, `torch.export` programs, a card."""
