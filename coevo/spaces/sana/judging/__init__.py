"""What judges a design: measured tables, the supernet's weights, a short recovery, images before an exact oracle."""
