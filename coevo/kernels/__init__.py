"""The fast code, each kernel beside its plain reference. NumPy, torch and triton alone."""
