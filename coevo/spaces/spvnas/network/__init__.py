"""Networks of SPVNAS's space: static, elastic, counted, saved and drawn."""
