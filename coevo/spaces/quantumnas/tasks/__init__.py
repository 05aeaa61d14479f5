"""What circuits are trained for: classification of data, and ground states of Hamiltonians."""
