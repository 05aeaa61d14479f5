"""A small deep-compression autoencoder, and its training."""
