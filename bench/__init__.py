"""What plugmw costs, beside what the same work costs elsewhere; see ``README.md``."""
