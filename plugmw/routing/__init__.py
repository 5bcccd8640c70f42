"""What matches a request: routes, and the conditions of entries."""
