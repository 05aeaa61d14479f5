"""Elivagar's training-free ranking of circuits (Anagolum et al., ASPLOS 2024): how well a circuit bears the device's
noise, times how well it keeps classes apart. `stage` puts it on the ladder; `candidates` and `search` are the whole
method, a baseline.
"""
