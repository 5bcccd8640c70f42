"""Cases whose ``expect`` is a mapping: what the client, the sink and the operator's log got."""

from __future__ import annotations

from typing import Any


def run(case: dict[str, Any]) -> list[str]:
    """Run a case; return what was wrong."""
    raise NotImplementedError("log cases")
