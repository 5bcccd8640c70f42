"""S18: what is kept is kept for the one it is of, up to a number; queries are split on ``&`` only."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from tests.security import gates


def test_s18_users_who_ask_at_once_are_themselves(gate):
    lines = {
        "alice": [("/key", f"apikey: {gates.KEY}"), ("/basic", gates.basic("alice", gates.PASSWORD))],
        "bob": [("/key", f"apikey: {gates.OTHER_KEY}")],
    }
    asks = [(name, path, line) for name, pairs in lines.items() for path, line in pairs] * 15

    def ask(one):
        name, path, line = one
        answer = gate.ask(path, line, "X-Consumer-Username: mallory", "X_Consumer_Username: mallory")
        return name, json.loads(answer.body)["HTTP_X_CONSUMER_USERNAME"]

    with ThreadPoolExecutor(8) as pool:
        assert all(name == seen for name, seen in pool.map(ask, asks))
