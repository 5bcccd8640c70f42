"""The plugins of single endpoints: ``extended_paths.go_plugin`` of an API that is not versioned."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from plugmw.dialects.tyk.reading import DefinitionReader
from plugmw.documents.document import Place
from plugmw.kernel.exchange import Exchange
from plugmw.schema import patterns
from plugmw.wsgi.text import decode


class Endpoint:
    """The requests that an endpoint's plugin is for: a method, and a pattern found in the path.

    As in Tyk the pattern is a regular expression that may match anywhere in the path below the API's, and
    ``{id}`` in it any one segment.
    """

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path
        self._find = patterns.compiled(re.sub(r"\{[^{}/]*\}", "([^/]+)", path)).search

    def __call__(self, x: Exchange) -> bool:
        if x.method != self.method:
            return False
        return is_too_long(x) or self._find(path_below(x)) is not None


class First:
    """Of several endpoints that match a request, the first in the definition is meant."""

    def __init__(self, before: Sequence[Endpoint], endpoint: Endpoint) -> None:
        self._before, self._own = before, endpoint

    def __call__(self, x: Exchange) -> bool:
        if is_too_long(x):
            return self._own(x)
        return self._own(x) and not any(endpoint(x) for endpoint in self._before)


def path_below(x: Exchange) -> str:
    """Return the path of a request below that of its API, beginning with a slash, as text."""
    prefix = x.route.matched(x.path).rstrip("/") if x.route else ""
    return decode(x.path[len(prefix) :] or "/", "surrogateescape")


def is_too_long(x: Exchange) -> bool:
    """Say whether no pattern is tried on the path: it is one of every endpoint, as any may be a guard."""
    return len(x.path) > patterns.LONGEST


def served_version(definition: DefinitionReader) -> str | None:
    """Return the name of the version that is served, None if there is none; several are an error."""
    data = definition.fields.version_data
    asked = definition.fields.definition.key or definition.fields.definition.location == "url"
    if not data.not_versioned and (len(data.versions) > 1 or asked):
        where: Place = ("version_data", "not_versioned")
        definition.error(where, "versions have no counterpart", "true, and an API per version")
        return None
    return "Default" if "Default" in data.versions else next(iter(data.versions), None)


def endpoints(definition: DefinitionReader, version: str | None) -> list[tuple[Place, Endpoint, str, str]]:
    """Return the place, the endpoint, the file and the function of each plugin; reports what is wrong."""
    served = definition.fields.version_data.versions.get(version or "")
    if version is None or served is None or not served.use_extended_paths:
        return []
    steps: Place = ("version_data", "versions", version, "extended_paths", "go_plugin")
    hooks = (
        _endpoint(definition, item, (*steps, n)) for n, item in enumerate(served.extended_paths.go_plugin)
    )
    return [one for one in hooks if one is not None]


def _endpoint(
    definition: DefinitionReader, item: object, steps: Place
) -> tuple[Place, Endpoint, str, str] | None:
    if isinstance(item, Mapping) and item.get("disabled"):
        return None
    names = ("path", "method", "plugin_path", "func_name")
    texts = [item.get(name) if isinstance(item, Mapping) else None for name in names]
    if not all(isinstance(text, str) and text for text in texts):
        definition.error(steps, "is not complete", "path, method, plugin_path and func_name")
        return None
    path, method, file, function = map(str, texts)
    try:
        return steps, Endpoint(method, path), file, function
    except ValueError as error:
        definition.error((*steps, "path"), f"got {path!r}", f"a regular expression ({error})")
        return None
