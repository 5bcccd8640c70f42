"""Native hooks on requests: functions ``(rw, r)`` as plugins.

    def AddFooBarHeader(rw, r):
        r.Header.Add("Foo", "Bar")

pre, auth_check, post_key_auth and post run on every request of an API, an endpoint's on those it names.
Writing to ``rw`` is to answer: the chain stops, and the client gets exactly what was written. Headers that
are set on ``rw`` without writing go out with the answer, whoever makes it.

A hook that raises, or that could not be loaded, is answered 500 ``{"error": "Internal Server Error"}``; the
log says which. auth_check has to set a session or to write: otherwise the request is refused.

Contract: Tyk's Go plugins (``gateway/mw_go_plugin.go``), where a panic is answered 200 (tyk#5984).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NoReturn

from plugmw.dialects.tyk.api import Api
from plugmw.dialects.tyk.errors import DISALLOWED, error_answer
from plugmw.dialects.tyk.policies import apply
from plugmw.dialects.tyk.session import session_of, set_session
from plugmw.dialects.tyk.views import Request, ResponseWriter
from plugmw.errors import LoadError
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.user_code import guarded
from plugmw.schema import config, field
from plugmw.wsgi import keys
from plugmw.wsgi.answer import Exit, check_header

INTERNAL_ERROR: Final = "Internal Server Error"
NO_SESSION: Final = (
    "Session state is missing or unset! Please make sure that auth headers are properly applied"
)
Function = Callable[..., object]


@config
class HookConfig:
    """What ``plugmw show`` tells of a hook."""

    kind: str = field(help="pre, auth_check, post_key_auth, post, endpoint, response or analytics.")
    path: str = field(help="The plugin's file or module, as the definition has it.")
    function: str = field(help="The function in it.")


class NativeHook(Plugin[HookConfig]):
    """A function of a plugin file; a LoadError stands for one that is not there."""

    name: ClassVar[str] = "tyk-hook"
    fail_closed = True
    Config: ClassVar[type] = HookConfig

    def __init__(
        self, kind: str, path: str, name: str, function: Function | LoadError, api: Api, compat: bool = False
    ) -> None:
        super().__init__(kind=kind, path=path, function=name)
        self.function = function
        self.api = api
        self.compat = compat

    def configure(self) -> None:
        if isinstance(self.function, LoadError):
            self.logger.error("API %r: %s hook cannot be used: %s", self.api.name, self.label, self.function)

    @property
    def label(self) -> str:
        """Kind and function, as its entry is called: ``pre:AddFooBarHeader``."""
        return f"{self.config.kind}:{self.config.function}"

    def call(self, x: Exchange, *arguments: object) -> None:
        """Call the function for an exchange; what it raises is logged once and answered 500."""
        x.environ[keys.TYK_API] = self.api
        try:
            if isinstance(self.function, LoadError):
                raise self.function
            guarded(x, self, self.function, *arguments)
        except Exception as error:
            self.fail(x, error)

    def log_failure(self, x: Exchange, error: BaseException) -> None:
        """Log a failure: what failed, of which API and file, and the traceback if there is one."""
        known = None if error is self.function else error
        problem = "%s failed: %s (API %r, %s, request %s)"
        where = self.api.name, self.config.path, x.request_id
        self.logger.error(problem, self.label, error, *where, exc_info=known)

    def fail(self, x: Exchange, error: BaseException) -> NoReturn:
        """Log a failure and answer it; nothing of it is in the answer."""
        self.log_failure(x, error)
        raise error_answer(x, 500, INTERNAL_ERROR, self.compat) from None


class RequestHook(NativeHook):
    """A hook before the upstream. Phases: access."""

    def access(self, x: Exchange) -> None:
        items = list(x.header_list or ())
        writer = ResponseWriter(items)
        self.call(x, writer, Request(x.environ))
        self._check(x, items)
        if writer.status:
            # All that is to go out is here: what plugins asked for before, the hook had in its hands.
            x.header_list = None
            raise Exit(writer.status, self._written(writer), self._framed(items))
        x.header_list = items or None

    def _check(self, x: Exchange, items: Sequence[tuple[str, str]]) -> None:
        try:
            for name, value in items:
                check_header(name, value)
        except ValueError as error:
            self.fail(x, error)

    @staticmethod
    def _written(writer: ResponseWriter) -> bytes:
        return writer.body if writer.status not in (204, 304) else b""

    @staticmethod
    def _framed(items: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Leave out what says where the body ends: that is the kernel's."""
        return [item for item in items if item[0].lower() not in ("content-length", "transfer-encoding")]


class AuthHook(RequestHook):
    """A hook that authenticates; ``alone`` says that nothing after it does. Phases: access."""

    authenticates: ClassVar[bool] = True
    #: Tyk's definitions do not say what a hook reads.
    credential_names: ClassVar[Sequence[str]] = ()

    def __init__(
        self,
        kind: str,
        path: str,
        name: str,
        function: Function | LoadError,
        api: Api,
        compat: bool = False,
        *,
        alone: bool = True,
    ) -> None:
        super().__init__(kind, path, name, function, api, compat)
        self.alone = alone

    def access(self, x: Exchange) -> None:
        super().access(x)
        session = session_of(x)
        if session is not None and session.policies:
            if not apply(session, self.api.policies, self.api.org_id):
                self.logger.info("%s named no policy that there is (request %s)", self.label, x.request_id)
                raise error_answer(x, 403, DISALLOWED, self.compat)
            set_session(x, session)
        if self.alone and session is None:
            self.logger.info("%s neither wrote nor set a session (request %s)", self.label, x.request_id)
            raise error_answer(x, 400, NO_SESSION, self.compat)
