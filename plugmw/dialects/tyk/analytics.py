"""Analytics plugins: functions ``(record)``, called when a request is over.

    def MaskAnalyticsData(record):
        record.api_key = "hidden"

The record has Tyk's fields, as ``record.response_code`` or ``record.ResponseCode``. It is called for good and
bad requests alike, and nothing that it raises reaches the client. There is no analytics store here: what is
to be kept, the plugin keeps itself, without blocking (a queue, a log).
"""

from __future__ import annotations

import datetime
from typing import ClassVar

from plugmw.dialects.tyk.context import get_auth_token
from plugmw.dialects.tyk.hooks import NativeHook
from plugmw.dialects.tyk.session import session_of
from plugmw.dialects.tyk.spelling import Fields
from plugmw.errors import LoadError
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.user_code import guarded
from plugmw.wsgi.request_target import sent


class AnalyticsRecord(Fields):
    """What Tyk records of a request; durations are milliseconds, times aware datetimes in UTC."""


class AnalyticsHook(NativeHook):
    """A hook on analytics records. Phases: log."""

    fail_closed = False
    needs_timings: ClassVar[bool] = True

    def log(self, x: Exchange) -> None:
        if isinstance(self.function, LoadError):
            return
        try:
            guarded(x, self, self.function, self.record(x))
        except Exception as error:
            self.log_failure(x, error)

    def record(self, x: Exchange) -> AnalyticsRecord:
        """Return the record of a request that is over."""
        now = datetime.datetime.fromtimestamp(x.started, datetime.timezone.utc)
        total, upstream = _milliseconds(x.begun, x.ended), _milliseconds(x.app_called, x.ended)
        session = session_of(x)
        return AnalyticsRecord(
            method=x.method,
            host=x.host,
            path=x.path,
            raw_path=sent(x.environ).partition("?")[0],
            content_length=_number(x.environ.get("CONTENT_LENGTH") or "0"),
            user_agent=x.get_header("User-Agent") or "",
            day=now.day,
            month=now.month,
            year=now.year,
            hour=now.hour,
            time_stamp=now,
            response_code=x.status,
            api_key=get_auth_token(x.environ),
            # APIs with versions are not read.
            api_version="Non Versioned",
            api_name=self.api.name,
            api_id=self.api.api_id,
            org_id=self.api.org_id,
            oauth_id=session.oauth_client_id if session else "",
            request_time=total,
            latency=AnalyticsRecord(total=total, upstream=upstream),
            raw_request="",
            raw_response="",
            ip_address=str(x.client_ip or ""),
            tags=list(session.tags) if session else [],
            alias=session.alias if session else "",
            track_path=False,
        )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _milliseconds(begin: float, end: float) -> int:
    return max(0, round((end - begin) * 1000)) if begin else 0
