"""Detection: a searched encoder in a one-stage detector after SECOND (Yan, Mao and Li, Sensors 18(10), 2018)."""
