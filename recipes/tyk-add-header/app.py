"""A gateway of one API, as Tyk's definition says; there is no app of our own behind it."""

from pathlib import Path

from plugmw import Gateway

app = Gateway.from_tyk(None, Path(__file__).parent / "api.json")
