"""The traps and faults of other gateways, each with its test; the ids S1 to S30 are in ``SECURITY.md``."""
