"""Configuration classes as plugin authors write them; checked by mypy, never run.

A line with a type-ignore is a mistake that a type checker must see: with ``--strict``, an ignore that nothing
needs is an error itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import plugmw
from plugmw.schema import REQUIRED, above, build, config, each, field, matches


@config
class Limits:
    minute: float | None = field(None, above(0), help="Requests per minute.")
    names: list[str] = field([], each(matches("[a-z]+", "small letters")), help="Who is let through.")
    token: str = field(REQUIRED, matches("[a-z]+", "small letters"), help="The shared secret.", secret=True)

    def check(self) -> Iterator[tuple[str, str]]:
        if self.minute and not self.names:
            yield "names", "missing, as there is a limit"


@plugmw.config
class Inherited(Limits):
    label: str = plugmw.field("x", help="A label.")


limits = Limits(minute=5, names=["a"], token="x")
minute: float | None = limits.minute
read: Limits = build(Limits, {"token": "x"}, "here")
inherited: float | None = Inherited(token="x", label="y").minute

Limits(tokens="x")  # type: ignore[call-arg]
Limits(token=5)  # type: ignore[arg-type]
Limits(5.0)  # type: ignore[call-arg]
Inherited(token="x", lable="y")  # type: ignore[call-arg]
limits.minute = 6  # type: ignore[misc]
limits.hour  # type: ignore[attr-defined]
