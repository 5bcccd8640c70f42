"""Conformance with the gateways whose plugins these are: cases as data, run through real gateways."""
