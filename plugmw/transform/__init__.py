"""Rules that change headers, bodies and paths."""
