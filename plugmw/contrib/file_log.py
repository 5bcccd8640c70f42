"""Append a line of JSON to a file for every exchange.

    plugins:
      - name: file-log
        config:
          path: /var/log/shop/access.json
          reopen: true

The client sees nothing of it. The line is written after the last byte of the answer has gone out, by one
``write``, so that lines of several workers do not mix. A line that cannot be written is lost; that is logged
once a minute with the number of lines.

Refuses nobody. Contract: Kong's file-log (``kong/plugins/file-log``), with files of mode 0600 unless
``mode`` says otherwise, and no links followed in a folder that everybody can write to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from plugmw.concurrency.counting import Counts
from plugmw.concurrency.throttle import Throttle
from plugmw.events import QUEUE_DROPPED
from plugmw.kernel.exchange import Exchange
from plugmw.schema import config, field, matches
from plugmw.telemetry.custom_fields import Fields, custom_fields
from plugmw.telemetry.reporting import HeaderNames, Reporting, redact_headers, redact_query
from plugmw.telemetry.sinks.files import Files

_PATH: Final = re.compile(r"[^\s*&%\\`\0][^*&%\\`\0]*[^\s*&%\\`\0]").fullmatch


@config
class Config:
    """Where to write, and what."""

    path: str = field(help="The file; a device such as `/dev/stdout` is good too.")
    reopen: bool = field(False, help="Whether to open the file for every line, which follows a rotation.")
    mode: str = field(
        "0600", matches("0?[0-7]{3}", "an octal mode like 0640"), help="Permissions of a file that is made."
    )
    custom_fields_by_lua: Fields | None = custom_fields()
    redact_headers: HeaderNames = redact_headers()
    redact_query: list[str] = redact_query()

    def check(self) -> Iterator[tuple[str, str]]:
        if not _PATH(self.path):
            yield "path", f"got {self.path!r}, which is not a valid filename"


class FileLog(Reporting[Config]):
    """Phases: log."""

    name, priority, Config = "file-log", 9, Config

    def configure(self) -> None:
        super().configure()
        self._mode = int(self.config.mode, 8)
        self._throttle = Throttle()
        self._lost = Counts()

    def log(self, x: Exchange) -> None:
        config = self.config
        try:
            Files.of(self.runtime).append(config.path, self.line(x) + b"\n", self._mode, config.reopen)
        except OSError as error:
            self._lost.add("entries")
            self.runtime.events.count(QUEUE_DROPPED, self.name)
            if self._throttle():
                lost = self._lost.take("entries")
                self.logger.error("%s: %s. %d entries were lost", config.path, error, lost)
