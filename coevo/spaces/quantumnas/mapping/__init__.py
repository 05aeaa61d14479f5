"""How circuits reach a device: decompositions into its gates, and its qubits."""
