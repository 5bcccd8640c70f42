"""Modifiers: which ones a ``plugin/req-resp-modifier`` namespace asks for, and running them in order.

A factory is ``(extra) -> modifier``, and a modifier ``(wrapper) -> wrapper``, or ``-> (wrapper, error)`` as
in Go; see :mod:`~plugmw.dialects.krakend.wrappers`. Returning None, or anything that is no wrapper, means
"as it is, changed in place or not". The rules are Lura's (``proxy/plugin.go``, ``proxy/plugin/modifier.go``)
with three differences unless ``compat``: a name that is registered for both directions works in both, a
request modifier may answer by returning a response wrapper, and what cannot be used is logged at ERROR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from plugmw.dialects.krakend.handlers import names_of
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.registry import MODIFIER, Factory, namespace_of
from plugmw.dialects.krakend.wrappers import ModifierError, is_request, is_response, value_of
from plugmw.errors import LoadError
from plugmw.kernel.user_code import contained

Modifier = Callable[[object], object]


@attrs.define
class Modifiers:
    """The modifiers in force somewhere: a gateway, an endpoint, a backend."""

    requests: list[Modifier] = attrs.field(factory=list)
    responses: list[Modifier] = attrs.field(factory=list)
    compat: bool = False

    def on_request(self, request: object) -> object:
        """Return the request after all modifiers, or the response that one of them gave instead."""
        for modifier in self.requests:
            result = _call(modifier, request)
            if is_response(result) and not self.compat:
                return result
            if is_request(result):
                request = result
        return request

    def on_response(self, response: object) -> object:
        """Return the response after all modifiers."""
        for modifier in self.responses:
            result = _call(modifier, response)
            if is_response(result):
                response = result
        return response


def _call(modifier: Modifier, wrapper: object) -> object:
    result = contained(modifier, wrapper)
    result, error = result if isinstance(result, tuple) else (result, None)
    if error is not None:
        # An error that is returned is meant for the client; of those raised only such with a status are.
        if isinstance(error, Exception) and isinstance(value_of(error, "status_code"), int):
            raise error
        raise ModifierError(str(error))
    return result


def build_modifiers(
    loader: Loader,
    extra_config: Mapping[str, object],
    scope: str,
    *,
    compat: bool = False,
    strict: bool = False,
) -> Modifiers:
    """Make the modifiers that ``extra_config`` names; ``scope`` (``[ENDPOINT: /x]``) is for the log.

    With ``strict`` a name that cannot be used raises :class:`~plugmw.errors.LoadError`.
    """
    modifiers = Modifiers(compat=compat)
    extra = namespace_of(extra_config, MODIFIER)
    if not isinstance(extra, Mapping) or (compat and not isinstance(extra.get("name"), list)):
        return modifiers
    for name in names_of(extra):
        try:
            _add(modifiers, name, loader, extra)
        except LoadError as error:
            if not compat:
                loader.logger.error(f"{scope}[Modifier Plugins]", error.what)
            if strict:
                raise
    if modifiers.requests or modifiers.responses:
        counts = f"{len(modifiers.requests)} request and {len(modifiers.responses)} response modifiers"
        loader.logger.debug(f"{scope}[Modifier Plugins] Adding", counts)
    return modifiers


def _add(modifiers: Modifiers, name: str, loader: Loader, extra: Mapping[str, object]) -> None:
    to_request = loader.register.request_modifiers.get(name)
    to_response = loader.register.response_modifiers.get(name)
    if to_request is None and to_response is None:
        raise LoadError(MODIFIER.namespaces[0], f"No plugin registered as {name}")
    modifier = None
    if to_request is not None:
        modifier = _make(name, to_request, extra)
        modifiers.requests.append(modifier)
    if to_response is not None and not (modifiers.compat and modifier):
        # One object for both directions, so that it can carry state from the one to the other.
        same = modifier if to_response is to_request else None
        modifiers.responses.append(same or _make(name, to_response, extra))


def _make(name: str, factory: Factory, extra: Mapping[str, object]) -> Modifier:
    try:
        modifier = contained(factory, dict(extra))
    except Exception as error:
        raise LoadError(MODIFIER.namespaces[0], f"Error getting the modifier {name}: {error}") from error
    if not callable(modifier):
        raise LoadError(MODIFIER.namespaces[0], f"Wrong modifier type: {name}")
    return modifier
