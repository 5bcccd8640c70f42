"""A gateway takes a new configuration between two requests: watch its files, read, replace, drain."""
