"""Tyk's Python hooks as plugins.

    for kind, plugin in python_hooks(custom_middleware, folder, files, api, options): ...

``kind`` is pre, auth_check, post_key_auth, post or response. How many parameters a hook names says what it is
given: 3 ``(request, session, spec)``, 4 ``(request, session, metadata, spec)``, 5 ``(request, response,
session, metadata, spec)``; any other number and it is not called. What counts is what it changes in place.
A hook runs in the worker, in the request's own thread: it has no deadline but the worker's.

A bundle that cannot be imported, a hook that it does not have or that fails: the requests of that API are
answered 500 ``Middleware error``, or 403 ``Key not authorised`` by auth_check; the log says why.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, ClassVar, Final

from plugmw.dialects.tyk.api import Api
from plugmw.dialects.tyk.errors import FORBIDDEN, MIDDLEWARE_ERROR, NOT_AUTHORISED, error_answer
from plugmw.dialects.tyk.policies import Policies, apply
from plugmw.dialects.tyk.python import id_extractor, loading
from plugmw.dialects.tyk.python.messages import ResponseObject
from plugmw.dialects.tyk.python.overrides import answer_of, refused
from plugmw.dialects.tyk.python.request import Changes, Refused, apply_request, request_object
from plugmw.dialects.tyk.python.response import apply_response, response_object
from plugmw.dialects.tyk.python.tyk.decorators import Hook
from plugmw.dialects.tyk.python.tyk.request import TykCoProcessRequest
from plugmw.dialects.tyk.session import SessionState, TextMap, session_of, set_session
from plugmw.documents.translated import Options
from plugmw.errors import LoadError
from plugmw.kernel import context
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.response import RespondingExchange
from plugmw.kernel.runtime import Logger, Runtime
from plugmw.kernel.user_code import guarded
from plugmw.schema import config, field

#: The kinds whose hooks come as lists, in the order in which they run, and auth_check, which is one.
KINDS: Final = ("pre", "auth_check", "post_key_auth", "post", "response")
FIELD_MISSING: Final = "Authorization field missing"


@config
class HookConfig:
    """What ``plugmw show`` tells of a hook."""

    function: str = field(help="The name of the function.")
    raw_body_only: bool = field(False, help="Whether `body` stays empty, and only `raw_body` is filled.")


class PythonHook(Plugin[HookConfig]):
    """One hook of a bundle; ``hook`` is None if the bundle does not have it, and ``why`` then says so."""

    name: ClassVar[str] = "tyk-python"
    fail_closed = True
    Config: ClassVar[type] = HookConfig
    #: Status and text of the answer if the hook fails.
    failure: ClassVar[tuple[int, str]] = (500, MIDDLEWARE_ERROR)

    def __init__(
        self,
        function: str,
        bundle: loading.Loaded | LoadError,
        spec: Mapping[str, str],
        *,
        raw_only: bool = False,
        compat: bool = False,
    ) -> None:
        super().__init__(function=function, raw_body_only=raw_only)
        self.function = function
        #: Held, because its modules live as long as it does.
        self.bundle = bundle
        self.spec = spec
        self.compat = compat
        self.hook: Hook | None = None
        self.why = f"Hook is not defined: {function}"
        if isinstance(bundle, LoadError):
            self.why = "No hooks defined"
        else:
            self.hook = bundle.hooks.get(function)

    def call(self, request: TykCoProcessRequest, response: ResponseObject, session: SessionState) -> None:
        """Call the hook; raises whatever it raises, and ``TypeError`` for what it must not return."""
        if self.hook is None:
            raise LookupError(self.why)
        metadata, spec = session.metadata, TextMap(self.spec)
        count = self.hook.arg_count
        if count == 3:
            _, _ = self.hook(request, session, spec)
        elif count == 4:
            _, _, metadata = self.hook(request, session, metadata, spec)
            session.metadata.MergeFrom(metadata)
        elif count == 5:
            self.hook(request, response, session, metadata, spec)

    def fail(self, x: Exchange, error: BaseException) -> BaseException:
        """Log why a hook failed and return the answer to raise, in which nothing of it is."""
        # What says all by itself needs no traceback.
        clear = self.hook is None or isinstance(error, Refused)
        problem = "hook %s failed: %s (request %s)"
        self.logger.error(problem, self.function, error, x.request_id, exc_info=None if clear else error)
        return error_answer(x, *self.failure, self.compat)


class RequestHook(PythonHook):
    """A hook before the app. Phases: access."""

    def access(self, x: Exchange) -> None:
        self.run(x, (session_of(x) or SessionState()).copy())

    def run(self, x: Exchange, session: SessionState) -> Changes:
        """Call the hook and do to the request what it says; may end the request with its answer.

        Returns what of it could be done to another request.
        """
        request = request_object(x, self.config.raw_body_only)
        overrides = request.return_overrides
        try:
            guarded(x, self, self.call, TykCoProcessRequest(request), ResponseObject(), session)
            changes = apply_request(x, request, self.compat)
            answer = answer_of(x, overrides, self.compat)
        except Exception as error:
            raise self.fail(x, error) from None
        if answer is not None:
            if refused(overrides):
                self.logger.info("hook %s refused the request (request %s)", self.function, x.request_id)
            raise answer
        return changes


class PreHook(RequestHook):
    """A hook before authentication: there is no session."""

    def access(self, x: Exchange) -> None:
        self.run(x, SessionState())


class AuthHook(RequestHook):
    """A hook that authenticates: it fills a session and puts a token into its metadata."""

    authenticates: ClassVar[bool] = True
    #: Those of the definition: see ``secrets``.
    credential_names: ClassVar[Sequence[str]] = ()
    failure: ClassVar[tuple[int, str]] = (403, NOT_AUTHORISED)

    def __init__(
        self,
        function: str,
        bundle: loading.Loaded | LoadError,
        spec: Mapping[str, str],
        *,
        raw_only: bool = False,
        compat: bool = False,
        extract: id_extractor.Extract | None = None,
        secrets: Set[str] = frozenset(),
        policies: Policies | None = None,
    ) -> None:
        super().__init__(function, bundle, spec, raw_only=raw_only, compat=compat)
        self.policies = policies or {}
        self.extract = extract
        #: Names of the headers and parameters that credentials come in.
        self.secrets = secrets
        self.sessions = id_extractor.Sessions()

    def bind(self, runtime: Runtime) -> None:
        super().bind(runtime)
        runtime.credential_names |= self.secrets

    def access(self, x: Exchange) -> None:
        key = None if self.extract is None else self._key(x, self.extract)
        known = None if key is None else self.sessions.get(key, self.runtime.clock())
        if known is not None:
            session, changes = known
            if not self.compat:
                # Else what a client sends under the names of these headers would reach the app.
                changes.apply(x)
        else:
            session = SessionState()
            changes = self.run(x, session)
            self._check(x, session)
            if key is not None:
                self.sessions.keep(key, session, changes, self.runtime.clock())
        set_session(x, session.copy())

    def _key(self, x: Exchange, extract: id_extractor.Extract) -> str:
        try:
            return extract(x)
        except id_extractor.Missing:
            raise error_answer(x, 400, FIELD_MISSING, self.compat) from None

    def _check(self, x: Exchange, session: SessionState) -> None:
        token = session.metadata["token"]
        if not token:
            self.logger.info("hook %s gave no token (request %s)", self.function, x.request_id)
            raise error_answer(x, 403, FORBIDDEN, self.compat)
        session.org_id = self.spec["OrgID"]
        session.key_id = token
        if not apply(session, self.policies, self.spec["OrgID"]):
            self.logger.info(
                "hook %s named no policy that there is (request %s)", self.function, x.request_id
            )
            raise error_answer(x, 403, FORBIDDEN, self.compat)


class ResponseHook(PythonHook):
    """A hook on the app's response. Phases: response."""

    def response(self, x: RespondingExchange) -> None:
        session = (session_of(x) or SessionState()).copy()
        request = TykCoProcessRequest(request_object(x, self.config.raw_body_only))
        response = response_object(x, self.config.raw_body_only)
        before = dict(response.headers)
        try:
            guarded(x, self, self.call, request, response, session)
            apply_response(x, before, response, self.compat)
        except Exception as error:
            raise self.fail(x, error) from None


_CLASSES: Final[dict[str, type[PythonHook]]] = {
    "pre": PreHook,
    "post_key_auth": RequestHook,
    "post": RequestHook,
    "response": ResponseHook,
}


def python_hooks(
    custom_middleware: Mapping[str, object], folder: Path, files: Sequence[str], api: Api, options: Options
) -> list[tuple[str, Plugin]]:
    """Return the hooks that a ``custom_middleware`` section names, with their kinds, in running order.

    ``folder`` has the Python files, ``files`` are those of the bundle (its ``file_list``). ``api`` has
    ``api_id``, ``org_id``, ``name``, ``config_data`` and ``bundle_hash``. The code is run here, and anew at
    every call. What is wrong with it is logged, with ``options.reports`` it raises
    :class:`~plugmw.errors.LoadError`.
    """
    listed = ((kind, entry) for kind in KINDS for entry in _entries(custom_middleware.get(kind)))
    # A response hook in a compiled file is native, whatever the driver is.
    entries = [
        (kind, entry)
        for kind, entry in listed
        if not (kind == "response" and str(entry.get("path") or "").endswith(".so"))
    ]
    if not entries:
        return []
    bundle = _load(folder, files, options)
    hooks: list[tuple[str, Plugin]] = []
    for kind, entry in entries:
        name, spec, raw_only = entry["name"], _spec(api), bool(entry.get("raw_body_only"))
        hook: PythonHook
        if kind == "auth_check":
            extract, secrets = _extraction(custom_middleware.get("id_extractor"), options)
            hook = AuthHook(
                name,
                bundle,
                spec,
                raw_only=raw_only,
                compat=options.compat,
                extract=extract,
                secrets=secrets,
                policies=api.policies,
            )
        else:
            hook = _CLASSES[kind](name, bundle, spec, raw_only=raw_only, compat=options.compat)
        _report(hook, kind, api, options)
        hooks.append((kind, hook))
    return hooks


def _entries(value: object) -> Iterator[Mapping[str, Any]]:
    for entry in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(entry, Mapping) and entry.get("name") and not entry.get("disabled"):
            yield entry


def _load(folder: Path, files: Sequence[str], options: Options) -> loading.Loaded | LoadError:
    loader = _Loading(_log(options))
    try:
        return context.outside("configure", loader, loading.load, folder, files)
    except LoadError as error:
        if options.reports:
            raise
        loader.logger.error("Middleware initialization error: %s", error, exc_info=error.__cause__)
        # Without its traceback, which holds the modules.
        return LoadError(error.source, error.what, error.expected)


class _Loading:
    """Stands for the plugin while a bundle is imported: it can log."""

    def __init__(self, logger: Logger) -> None:
        self.logger = logger


def _log(options: Options) -> Logger:
    logger: Logger = options.logger or logging.getLogger("plugmw")
    return logger


def _report(hook: PythonHook, kind: str, api: Api, options: Options) -> None:
    """Log at load what would only be seen in requests."""
    if isinstance(hook.bundle, LoadError):
        return
    where = f"API {api.name!r}: custom_middleware.{kind}"
    if hook.hook is None:
        known = ", ".join(sorted(hook.bundle.hooks)) or "none"
        error = LoadError(where, f"no hook {hook.function!r} in the bundle", f"one of {known}")
        if options.reports:
            raise error
        _log(options).error("%s", error)
    elif hook.hook.arg_count not in (3, 4, 5):
        problem = (
            f"{hook.function} takes {hook.hook.arg_count} parameters, expected 3, 4 or 5; it is not called"
        )
        if options.refuses:
            raise LoadError(where, problem)
        _log(options).warning("%s: %s", where, problem)


def _extraction(config: object, options: Options) -> tuple[id_extractor.Extract | None, Set[str]]:
    """Return what finds the session's id in a request, and the names of the secrets that it reads."""
    try:
        return id_extractor.extractor(config), id_extractor.names(config)
    except (ValueError, TypeError) as error:
        if options.reports:
            raise LoadError("custom_middleware.id_extractor", str(error)) from error
        _log(options).error("id_extractor cannot be used, requests are refused: %s", error)
        return _nothing, frozenset()


def _nothing(x: Exchange) -> str:
    raise id_extractor.Missing


def _spec(api: Api) -> dict[str, str]:
    """Return the hooks' ``spec`` of their API: texts, config_data as JSON if there is any."""
    spec = {"OrgID": api.org_id or "", "APIID": api.api_id or "", "bundle_hash": api.bundle_hash or ""}
    if api.config_data:
        spec["config_data"] = json.dumps(api.config_data, separators=(",", ":"), ensure_ascii=False)
    return spec
