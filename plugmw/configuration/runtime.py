"""What the gateway lends its plugins, as the settings and what is given in code say."""

from __future__ import annotations

from plugmw.auth.consumers import parse
from plugmw.auth.directories import Consumers, JoinedDirectory, directory, open_directory
from plugmw.configuration.extras import Extras
from plugmw.configuration.problems import Problems
from plugmw.configuration.settings import Settings
from plugmw.documents import Document
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.events import watch
from plugmw.kernel.identity import Directory, MemoryDirectory
from plugmw.kernel.runtime import Runtime
from plugmw.stores import open_store
from plugmw.telemetry.queues import Queues
from plugmw.wsgi.proxies import Trusted


def runtime_of(settings: Settings, document: Document, extras: Extras, problems: Problems) -> Runtime:
    """Return the runtime; nothing is opened."""
    runtime = Runtime(
        trusted=_trusted(settings, problems),
        store_url=extras.store or settings.store,
        max_request_body=settings.max_request_body,
        max_response_body=settings.max_response_body,
        answer_crashes=settings.answer_crashes,
        remote_user=settings.remote_user or None,
        identity=settings.identity_headers == "remove",
        method_override=settings.method_override,
        consumers=_consumers(settings, document, extras, problems),
        events=extras.events,
    )
    Queues.of(runtime).shutdown_timeout = settings.shutdown_timeout
    if extras.logger is not None:
        runtime.logger = extras.logger
    if extras.clock is not None:
        runtime.clock = extras.clock
    watch(runtime.consumers, runtime)
    for url in dict.fromkeys(url for url in (settings.store, runtime.store_url) if isinstance(url, str)):
        _check_store(url, problems)
    return runtime


def _consumers(settings: Settings, document: Document, extras: Extras, problems: Problems) -> Directory:
    items = document.data.get("consumers", [])
    if not isinstance(items, list):
        problems.error(("consumers",), f"got {type(items).__name__}", "a list")
        items = []
    if extras.consumers is not None:
        return _given(extras.consumers, bool(items), settings, problems)
    listed, wrong = parse(items, text=document.text)
    problems.extend(wrong)
    return _stored(listed, settings, problems)


def _given(consumers: Consumers, listed: bool, settings: Settings, problems: Problems) -> Directory:
    """Return the directory of what is given in code, which takes the place of the document's."""
    for name, both in (("consumers", listed), ("consumer_store", bool(settings.consumer_store))):
        if both:
            problems.error((name,), "given here and in code", "one of the two")
    try:
        return directory(consumers)
    except ConfigErrors as errors:
        problems.errors += errors.errors
    except ConfigError as error:
        problems.errors.append(error)
    return MemoryDirectory()


def _stored(listed: MemoryDirectory, settings: Settings, problems: Problems) -> Directory:
    """Return the list, and the store behind it if there is one."""
    if not settings.consumer_store:
        return listed
    try:
        store = open_directory(settings.consumer_store)
    except ConfigError as error:
        problems.error(("consumer_store",), error.problem, error.expected)
        return listed
    return JoinedDirectory(listed, store) if listed.listed() else store


def _check_store(url: str, problems: Problems) -> None:
    try:
        if url != "auto":
            open_store(url)
    except ConfigError as error:
        problems.error(("store",), error.problem, error.expected)


def _trusted(settings: Settings, problems: Problems) -> Trusted:
    header, recursive = settings.real_ip_header, settings.real_ip_recursive
    if isinstance(settings.trusted, int):
        if settings.trusted < 0:
            problems.error(("trusted",), f"got {settings.trusted}", "a number of proxies, 0 or more")
        return Trusted(hops=max(0, settings.trusted), header=header, recursive=recursive)
    try:
        return Trusted(settings.trusted, header=header, recursive=recursive)
    except ValueError as error:
        problems.error(("trusted",), str(error), "networks like 10.0.0.0/8, and unix:")
        return Trusted()
