"""Taking a chip and its mappings home, and reading them back."""
