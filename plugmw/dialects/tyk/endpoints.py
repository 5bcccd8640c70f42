"""The plugins of single endpoints: ``extended_paths.go_plugin`` of an API that is not versioned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from plugmw.dialects.tyk.reading import DefinitionReader
from plugmw.documents.document import Place
from plugmw.kernel import state
from plugmw.kernel.exchange import Exchange
from plugmw.schema import patterns
from plugmw.wsgi.readings import READ, covered, methods, paths
from plugmw.wsgi.text import decode


class Endpoint:
    """The requests that an endpoint's plugin is for: a method, and a pattern found in the path.

    As in Tyk the pattern is a regular expression that may match anywhere in the path below the API's, and
    ``{id}`` in it any one segment. Other than in Tyk an endpoint of GET is one of HEAD too.
    """

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path
        self._methods = covered([method])
        self._pattern = patterns.compiled(re.sub(r"\{[^{}/]*\}", "([^/]+)", path), "found")

    def __call__(self, x: Exchange) -> bool:
        return any(self.fits(method, path) for method, path, _ in readings(x))

    def fits(self, method: str, path: str | None, unsure: bool = True) -> bool:
        """Look at one reading of a request; ``unsure`` where its path cannot be looked at."""
        if method not in self._methods:
            return False
        try:
            return unsure if path is None else self._pattern.find(path) is not None
        except patterns.TooLong:
            return unsure


class First:
    """Of several endpoints that match a request, the first in the definition is meant.

    A path that is too long for a pattern is one of every endpoint: any may be a guard.
    """

    def __init__(self, before: Sequence[Endpoint], endpoint: Endpoint) -> None:
        self._before, self._own = before, endpoint

    def __call__(self, x: Exchange) -> bool:
        return any(
            self._own.fits(method, path)
            and not any(
                endpoint.fits(method, path, False)
                for endpoint in self._before
                # One of GET that is for HEAD as well does not stand before one that names HEAD.
                if endpoint.method == method or self._own.method != method
            )
            for method, path, _ in readings(x)
        )


Reading = tuple[str, str | None, str]


def readings(x: Exchange) -> Sequence[Reading]:
    """Return each method, path below the API's and whole path that an app could read, as text.

    Any endpoint may be a guard. The path below is None where there are too many readings to try patterns.
    They are worked out once for a request, however many ask, unless a hook changes what they are of.
    """
    of = (x.route, *map(x.environ.get, READ))
    known = state.of(x.environ, readings)
    if known.get("of") != of:
        known["of"], known["all"] = of, list(_readings(x))
    every: list[Reading] = known["all"]
    return every


def _readings(x: Exchange) -> Iterator[Reading]:
    every = paths(x.environ)
    for way in every.ways:
        prefix = x.route.matched(way).rstrip("/") if x.route else ""
        below = None if every.too_long else decode(way[len(prefix) :] or "/", "surrogateescape")
        whole = decode(way, "surrogateescape")
        for method in methods(x.environ):
            yield method, below, whole


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
