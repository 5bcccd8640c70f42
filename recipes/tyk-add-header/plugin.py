"""Tyk's first Go plugin, in Python; where the definition says plugin.so, this file is meant."""


def AddFooBarHeader(rw, r):
    """Add a custom "Foo: Bar" header to the request."""
    r.Header.Add("Foo", "Bar")
