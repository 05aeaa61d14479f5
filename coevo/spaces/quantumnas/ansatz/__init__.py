"""What circuits there are: gate sets, the SuperCircuit that holds them all, and the designs cut from it."""
