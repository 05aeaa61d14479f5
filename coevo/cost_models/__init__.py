"""What a design costs without running it: accelerators, measured tables, rooflines, circuit noise."""
