"""The three kinds of KrakenD plugins, and the register that holds what a loader found.

A register belongs to one loader, so to one gateway: two gateways in a process never see each other's
plugins (Lura's is global, ``register/register.go``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

Factory = Callable[..., object]


@attrs.frozen
class Kind:
    """A kind of plugin: the symbol a module exposes, the method called on it, and the words of the log."""

    symbol: str
    method: str
    tag: str
    unknown: str
    #: The namespace in ``extra_config``: KrakenD's alias, then the name it stands for.
    namespaces: tuple[str, str]


CLIENT: Final = Kind(
    "ClientRegisterer",
    "register_clients",
    "[SERVICE: Executor Plugin]",
    "http-request-executor plugin loader: unknown type",
    ("plugin/http-client", "github.com/devopsfaith/krakend/transport/http/client/executor"),
)
HANDLER: Final = Kind(
    "HandlerRegisterer",
    "register_handlers",
    "[SERVICE: Handler Plugin]",
    "http-server-handler plugin loader: unknown type",
    # The underscore is the original's.
    ("plugin/http-server", "github_com/devopsfaith/krakend/transport/http/server/handler"),
)
MODIFIER: Final = Kind(
    "ModifierRegisterer",
    "register_modifiers",
    "[SERVICE: Modifier Plugin]",
    "modifier plugin loader: unknown type",
    ("plugin/req-resp-modifier", "github.com/devopsfaith/krakend/proxy/plugin"),
)
#: In the order in which a folder is gone through.
KINDS: Final = (CLIENT, HANDLER, MODIFIER)


@attrs.define
class Register:
    """Factories by name. A name that is registered again is replaced, as in KrakenD."""

    clients: dict[str, Factory] = attrs.field(factory=dict)
    handlers: dict[str, Factory] = attrs.field(factory=dict)
    request_modifiers: dict[str, Factory] = attrs.field(factory=dict)
    response_modifiers: dict[str, Factory] = attrs.field(factory=dict)

    def taker(self, kind: Kind) -> Callable[..., None]:
        """Return the function ``f`` that a registerer's method is called with."""
        takers = {CLIENT: self.clients.__setitem__, HANDLER: self.handlers.__setitem__}
        return takers.get(kind, self._register_modifier)

    def names(self, kind: Kind) -> list[str]:
        """Return the names registered for a kind, in order of registration."""
        factories = {
            CLIENT: self.clients,
            HANDLER: self.handlers,
            MODIFIER: {**self.request_modifiers, **self.response_modifiers},
        }
        return list(factories[kind])

    def _register_modifier(self, name: str, factory: Factory, to_request: bool, to_response: bool) -> None:
        if to_request:
            self.request_modifiers[name] = factory
        if to_response:
            self.response_modifiers[name] = factory


def method_of(symbol: object, name: str) -> Any:
    """Return a method under its Python or its Go spelling (``register_logger``, ``RegisterLogger``)."""
    go_name = "".join(word.capitalize() for word in name.split("_"))
    found = getattr(symbol, name, None)
    return getattr(symbol, go_name, None) if found is None else found


def namespace_of(extra_config: Mapping[str, object], kind: Kind) -> object:
    """Return the kind's namespace of an ``extra_config``, None if absent; the alias wins."""
    return next((extra_config[key] for key in kind.namespaces if key in extra_config), None)
