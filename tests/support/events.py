"""Listening to what happens to a gateway beside its requests."""

from __future__ import annotations

from plugmw.events import Events


def listening(events: Events) -> list[tuple[str, str, int]]:
    """Return a list that fills with (name, label, amount) of each event, those from before first."""
    taken: list[tuple[str, str, int]] = []

    def take(name: str, label: str, amount: int) -> bool:
        taken.append((name, label, amount))
        return True

    events.listen(take)
    return taken
