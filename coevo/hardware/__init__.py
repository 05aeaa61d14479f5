"""What designs run on: GPUs, accelerators, quantum devices."""
