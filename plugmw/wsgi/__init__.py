"""Requests and answers without any plugin: paths, headers, bodies, text, who the client is."""
