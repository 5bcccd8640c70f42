"""A Kong plugin in Python: handler.py, schema.py, and the logic of two phases in modules of their own."""
