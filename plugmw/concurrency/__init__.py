"""Processes, forks, locks and time: what everything above relies on."""
