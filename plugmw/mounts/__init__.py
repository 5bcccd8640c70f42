"""Where the gateway is put: gunicorn's worker hooks, Flask, Django, and a wrapper that changes no code."""
