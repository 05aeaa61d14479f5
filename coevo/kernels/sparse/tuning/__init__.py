"""Ways to carry out a network's convolutions, measured on the user's own scans and kept between runs."""
