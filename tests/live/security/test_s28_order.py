"""S28: who has answered is the last one in access; header_filter, body_filter and log run all the same."""

from __future__ import annotations

from tests.security.test_s28_order import PREFLIGHT


def test_s28_a_preflight_does_not_skip_ip_restriction_on_any_server(gate):
    lines = [f"{name}: {value}" for name, value in PREFLIGHT.items()]
    for method in ("OPTIONS", "GET", "options", "Options"):
        answer = gate.ask("/cors", *lines, method=method)
        # gunicorn itself refuses methods in small letters, with 400.
        assert answer.status in ({403} if method.isupper() else {400, 403, 501}), method
