"""Inputs from outside, changed at random: see CONTRIBUTING.md, "Fuzzing"."""
