"""``id_extractor``: sessions that need not be made anew by the hook (``gateway/coprocess_id_extractor.go``).

    "id_extractor": {"extract_from": "header", "extract_with": "value",
                     "extractor_config": {"header_name": "Authorization"}}

A part of the request says whose session it is. A session that the hook gave an ``id_extractor_deadline``
(unix seconds) serves until then, without a call of the hook; what the hook did to headers and parameters is
kept with it, and done again. Sessions are kept by each process, at most :data:`MOST`, the longest unused ones
go first; a reload forgets them.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final
from xml.etree import ElementTree

from plugmw.dialects.tyk.python.request import Changes
from plugmw.dialects.tyk.session import SessionState
from plugmw.kernel.exchange import Exchange
from plugmw.schema import patterns
from plugmw.wsgi import safe_xml
from plugmw.wsgi.forms import FORM, TooMuch, media_type, read_form, read_pairs
from plugmw.wsgi.safe_xml import local
from plugmw.wsgi.text import decode

MOST: Final = 10_000

Extract = Callable[[Exchange], str]


class Missing(Exception):
    """The request has no such part."""


def extractor(config: object) -> Extract | None:
    """Return the function that finds the id in a request, or None if there is to be none.

    The function raises :class:`Missing`. Raises ``ValueError`` for a configuration that cannot work.
    """
    if not isinstance(config, Mapping) or config.get("disabled") or not config.get("extract_with"):
        return None
    options = _options(config)
    source = _source(str(config.get("extract_from", "")), options)
    way = config["extract_with"]
    if way == "value":
        return source
    if way == "regex":
        return _by_regex(source, options)
    if way == "xpath":
        return _by_xpath(source, options)
    raise ValueError(f"extract_with: got {way!r}, expected value, regex or xpath")


def names(config: object) -> frozenset[str]:
    """Return the names of the header and the parameter that an id comes in: their values are secrets."""
    options = _options(config) if isinstance(config, Mapping) else {}
    return frozenset(str(options[key]) for key in ("header_name", "param_name") if options.get(key))


def _options(config: Mapping[str, object]) -> Mapping[str, Any]:
    options = config.get("extractor_config")
    return options if isinstance(options, Mapping) else {}


def _source(name: str, options: Mapping[str, object]) -> Extract:
    if name == "header":
        header = str(options.get("header_name") or "")
        return lambda x: _present(decode(x.get_header(header) or "", "surrogateescape"))
    if name == "form":
        parameter = str(options.get("param_name") or "")
        return lambda x: _present(_form_value(x, parameter))
    if name == "body":
        return lambda x: x.read_body().decode("utf-8", "replace")
    raise ValueError(f"extract_from: got {name!r}, expected header, form or body")


def _present(value: str) -> str:
    if not value:
        raise Missing
    return value


def _form_value(x: Exchange, name: str) -> str:
    """Return the values of a field joined, those of the body before those of the query."""
    pairs = read_pairs(x.environ.get("QUERY_STRING", ""))
    if media_type(x.environ.get("CONTENT_TYPE") or "")[0] == FORM:
        try:
            pairs = [*read_form(x.read_body()), *pairs]
        except TooMuch:
            raise Missing from None
    return "".join(value or "" for key, value in pairs if key == name)


def _by_regex(source: Extract, options: Mapping[str, Any]) -> Extract:
    expression, index = str(options.get("regex_expression") or ""), int(options.get("regex_match_index") or 0)
    problem = patterns.problem(expression, "search") if expression else "got '', expected an expression"
    if problem:
        raise ValueError(f"extractor_config.regex_expression: {problem}")
    pattern = patterns.compiled(expression, "search")

    def extract(x: Exchange) -> str:
        try:
            matches: list[str] = [match[0] for match in pattern.find_all(source(x))]
        except patterns.TooLong:
            # Of two texts that begin alike each is somebody else's.
            raise Missing from None
        if index >= len(matches):
            raise Missing
        return matches[index]

    return extract


def _by_xpath(source: Extract, options: Mapping[str, object]) -> Extract:
    """Read elements and attributes; the paths are those of ElementTree, from the document on."""
    expression = str(options.get("xpath_expression") or "")
    path, _, attribute = expression.partition("/@")
    path = "." + path if path.startswith("/") else path
    try:
        ElementTree.Element("document").find(path)
    except (SyntaxError, KeyError):
        path = ""
    if not path:
        raise ValueError(
            f"extractor_config.xpath_expression: got {expression!r}, expected a path of elements"
        )

    def extract(x: Exchange) -> str:
        document = ElementTree.Element("document")
        try:
            document.append(_tree(source(x)))
        except ValueError:
            raise Missing from None
        element = document.find(path)
        if element is None:
            raise Missing
        return _present((element.get(attribute) or "") if attribute else "".join(element.itertext()))

    return extract


def _tree(text: str) -> ElementTree.Element:
    """Return the root of a document, names without prefixes; raises ``ValueError``."""
    builder = ElementTree.TreeBuilder()
    safe_xml.read(
        text,
        lambda name, attributes: builder.start(local(name), attributes),
        lambda name: builder.end(local(name)),
        builder.data,
    )
    return builder.close()


class Sessions:
    """The sessions of one API in this process, by what was extracted; thread-safe."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[bytes, tuple[SessionState, Changes]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, now: float) -> tuple[SessionState, Changes] | None:
        """Return a session whose deadline is to come, and what its hook did to the request."""
        place = _digest(key)
        with self._lock:
            known = self._sessions.get(place)
            if known is None:
                return None
            if known[0].id_extractor_deadline <= now:
                del self._sessions[place]
                return None
            self._sessions.move_to_end(place)
            return known

    def keep(self, key: str, session: SessionState, changes: Changes, now: float) -> None:
        """Keep a session if its deadline is to come, and what its hook did to the request."""
        if session.id_extractor_deadline <= now:
            return
        with self._lock:
            self._sessions[_digest(key)] = session, changes
            while len(self._sessions) > MOST:
                self._sessions.popitem(last=False)


def _digest(key: str) -> bytes:
    """Return what stands for a key: the key itself is a secret."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
