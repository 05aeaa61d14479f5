"""Scans, networks and fronts as pictures."""
