"""What judges a design: closed forms, the latency table, the supernet's weights, a clock."""
