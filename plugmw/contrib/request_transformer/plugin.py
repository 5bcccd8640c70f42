"""Change method, path, headers, query and body of requests before the app sees them.

    plugins:
      - name: request-transformer
        config:
          remove: {headers: [X-Debug], querystring: [debug]}
          replace: {uri: "/v2$(uri_captures.rest)"}
          add: {headers: ["X-Tenant:$(query_params.tenant or 'none')"], body: ["source:web"]}

The order is path, method, headers, body, query; within each remove, rename, replace, add, append. Values may
hold templates (:mod:`plugmw.wsgi.templates`), which see the request as it arrived. Bodies are read only if
there are rules for them and their type, as it is after the header rules, is JSON, multipart or urlencoded;
what cannot be read goes on byte for byte.

The client gets 500 "An unexpected error occurred" when a template yields something that must not be sent
(a line break, a path that does not start with ``/`` or has ``..`` in it), 413 for a body above the gateway's
``max_request_body``. Nothing half-changed reaches the app. Contract: Kong's request-transformer
(``kong/plugins/request-transformer``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from plugmw.contrib.request_transformer.bodies import body_kind, change_body
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import as_dict, config, field, matches
from plugmw.transform.rewriting import (
    HeaderChange,
    Rules,
    change_lists,
    checked_path,
    grouped,
    path_template,
    rendered,
    replace_path,
    set_headers,
    written,
)
from plugmw.transform.rules import cut, header_problems, rename_problems
from plugmw.wsgi.forms import FORM, TooMuch, read_form, read_pairs, replace_query
from plugmw.wsgi.templates import Find, Template, Unrenderable, finder, parse
from plugmw.wsgi.text import encode

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+").fullmatch
#: What says where the body ends: a request that lies about it is smuggled past somebody.
_FRAMING: Final = ("content-length", "transfer-encoding")
#: Methods whose form fields move into the query.
_WITHOUT_BODY: Final = ("GET", "HEAD", "TRACE")
Problems = Iterator[tuple[str, str]]


def _bad_names(names: Iterable[str]) -> Iterator[tuple[int, str]]:
    for index, name in enumerate(names):
        if not _NAME(name):
            yield index, f"'{name}' is not a valid header"
        elif name.replace("_", "-").lower() in _FRAMING:
            yield index, f"'{name}' is not for plugins to change: framing is the server's"


@config
class Removals:
    """What to take away."""

    headers: list[str] = field([], help="Names; what follows a colon is ignored.")
    querystring: list[str] = field([], help="Names; what follows a colon is ignored.")
    body: list[str] = field([], help="Names; what follows a colon is ignored.")

    def check(self) -> Problems:
        for index, text in _bad_names(cut(entry)[0] for entry in self.headers):
            yield f"headers[{index}]", text


@config
class Renames:
    """What to give another name."""

    headers: list[str] = field([], help="Entries `old:new`.")
    querystring: list[str] = field([], help="Entries `old:new`.")
    body: list[str] = field([], help="Entries `old:new`.")

    def check(self) -> Problems:
        wrong = dict(rename_problems(self.headers))
        for names in zip(*map(cut, self.headers)):
            for index, text in _bad_names(names):
                wrong.setdefault(index, text)
        yield from ((f"headers[{index}]", text) for index, text in wrong.items())
        yield from _without_value(self)


@config
class Values:
    """What to set; may hold credentials for the app."""

    headers: list[str] = field([], repr=False, help="Entries `name:value`.")
    querystring: list[str] = field([], repr=False, help="Entries `name:value`.")
    body: list[str] = field([], repr=False, help="Entries `name:value`.")

    def check(self) -> Problems:
        wrong = dict(header_problems(self.headers))
        for index, text in _bad_names(cut(entry)[0] for entry in self.headers):
            wrong.setdefault(index, text)
        yield from ((f"headers[{index}]", text) for index, text in wrong.items())
        yield from _without_value(self)


def _without_value(lists: Renames | Values) -> Problems:
    for place in ("querystring", "body"):
        for index, entry in enumerate(getattr(lists, place)):
            name, value = cut(entry)
            if not name or not value:
                yield f"{place}[{index}]", f"key '{name}' has no value"


@config
class Replacements(Values):
    """Values for what is there, and the path."""

    uri: str | None = field(None, help="The path, as the app finds it in PATH_INFO; a template.")


@config
class Config:
    """A method, and five operations on headers, query and body."""

    http_method: str | None = field(
        None, matches("[A-Z]+", "a method in capitals"), help="Method in place of the client's."
    )
    remove: Removals = field(Removals(), help="What to take away.")
    rename: Renames = field(Renames(), help="What to give another name.")
    replace: Replacements = field(Replacements(), help="Values for what is there, and the path.")
    add: Values = field(Values(), help="What to add if it is missing.")
    append: Values = field(Values(), help="What to add in any case.")
    templates: bool = field(True, help="Whether values may hold `$(...)`; else such values are refused.")

    def check(self) -> Problems:
        for operation in ("replace", "add", "append"):
            lists = as_dict(getattr(self, operation))
            uri = lists.pop("uri", None)
            texts = {} if uri is None else {"uri": uri}
            for name, entries in lists.items():
                texts |= {f"{name}[{index}]": cut(entry)[1] for index, entry in enumerate(entries)}
            for where, text in texts.items():
                try:
                    template = parse(text, self.templates)
                    if where == "uri" and template.fixed:
                        _rendered(path_template(template), lambda source, key: None)
                except ValueError as error:
                    yield f"{operation}.{where}", str(error)
        for index, entry in enumerate(self.append.headers):
            if cut(entry)[0].lower() == "host":
                yield f"append.headers[{index}]", "there is one Host only: use replace"


class RequestTransformer(Plugin[Config]):
    """Phases: access."""

    name, priority, Config = "request-transformer", 801, Config

    def configure(self) -> None:
        self._headers = HeaderChange(self._rules("headers"))
        self._query, self._body = self._rules("querystring"), self._rules("body")
        uri = self.config.replace.uri
        self._path = None if uri is None else path_template(parse(uri, self.config.templates))

    def _rules(self, kind: str) -> Rules[Template]:
        c = self.config
        lists = [map(cut, getattr(each, kind)) for each in (c.replace, c.add, c.append)]
        return Rules(
            tuple(cut(entry)[0] for entry in getattr(c.remove, kind)),
            tuple(map(cut, getattr(c.rename, kind))),
            *(tuple((name, parse(value, c.templates)) for name, value in pairs) for pairs in lists),
        )

    def access(self, x: Exchange) -> None:
        try:
            self._transform(x, finder(x))
        except Unrenderable as error:
            self.logger.error("request refused: %s (request %s)", error, x.request_id)
            x.fail(500)
        except TooMuch as error:
            # What is not looked at could be what a rule removes.
            self.logger.warning("request refused: %s (request %s)", error, x.request_id)
            x.fail(413)

    def _transform(self, x: Exchange, find: Find) -> None:
        """Work everything out first, then change the request: all of it or nothing."""
        environ, method = x.environ, self.config.http_method
        path = None if self._path is None else _rendered(self._path, find)
        headers = self._headers.work_out(environ, find)
        query_rules, body_rules = rendered(self._query, find), rendered(self._body, find)
        kind = environ.get("CONTENT_TYPE", "")
        merges = method in _WITHOUT_BODY and body_kind(kind) == FORM
        kind = headers.get("CONTENT_TYPE", kind) or ""
        changes = bool(body_rules) and body_kind(kind) is not None
        old = x.read_body() if merges or changes else b""
        new = change_body(body_rules, kind, old) if changes else old
        query = environ.get("QUERY_STRING", "")
        if query_rules or merges:
            query = _changed_query(query_rules, query, old if merges else b"")

        if path is not None:
            replace_path(environ, path)
        if method:
            environ["REQUEST_METHOD"] = method
        set_headers(environ, headers)
        if new is not old:
            x.replace_body(new)
        if query_rules or merges:
            replace_query(environ, query)


def _rendered(path: Template, find: Find) -> str:
    """Return the path that a template makes, in WSGI's form; raises ``Unrenderable``."""
    return checked_path(encode(path.render(find), "surrogateescape"))


def _changed_query(rules: Rules[str], query: str, form: bytes) -> str:
    """Return the query with the fields of ``form`` in it, changed and sorted by name."""
    members = grouped([*read_pairs(query), *read_form(form)])
    change_lists(rules, members)
    return written(dict(sorted(members.items())))
