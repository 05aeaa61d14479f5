"""NAAS: accelerators, mappings and networks searched together (Lin et al., DAC 2021)."""
