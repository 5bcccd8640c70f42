"""Consumers from SQL tables and callables."""
