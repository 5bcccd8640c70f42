"""A request and its response, the phases and the chain: what serves every request."""
