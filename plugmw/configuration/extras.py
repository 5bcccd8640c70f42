"""The arguments of a gateway beside its document."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from plugmw.auth.directories import Consumers
from plugmw.documents.translated import Options
from plugmw.events import Events
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.runtime import Logger
from plugmw.stores import Store

#: A plugin object, an entry, or a mapping as in a document.
Item = Plugin | Entry | Mapping[str, object]


class Owner:
    """Stands for a gateway, to whom the plugin objects belong that it was given; ends with it."""

    def __init__(self) -> None:
        #: The gateway could not be built.
        self.gone = False


@attrs.define(eq=False)
class Extras:
    """What code passes to a gateway beside the document."""

    plugins: Sequence[Item] = ()
    consumers: Consumers | None = None
    store: str | Store | None = None
    logger: Logger | None = None
    clock: Callable[[], float] | None = None
    #: Whose document it is; its content says so too.
    dialect: str | None = None
    options: Options = attrs.field(factory=Options)
    #: Ids of plugin objects that another reading has configured.
    used: frozenset[int] = frozenset()
    #: Of the gateway, the same in all its readings.
    owner: Owner = attrs.field(factory=Owner)
    events: Events = attrs.field(factory=Events)

    def again(self) -> Extras:
        """Return the arguments of a further reading: its own copies of the plugin objects.

        What cannot be copied (its class has an ``__init__`` of its own, or attributes were set on it) is in
        both, as it is.
        """
        plugins = [_copied(item) for item in self.plugins]
        used = frozenset(id(_plugin(item)) for item in self.plugins)
        return attrs.evolve(self, plugins=plugins, used=used)


def own(plugin: Plugin, owner: Owner) -> Plugin | None:
    """Return ``plugin`` for the gateway of ``owner``: itself, or a copy if it belongs to another gateway.

    A plugin object has one runtime and one life, so no two gateways may have it. None if it is another's
    and cannot be copied.
    """
    if _is_taken(plugin, owner):
        gc.collect()  # the other may be over: gateways are in cycles
        if _is_taken(plugin, owner):
            copy = _copy(plugin)
            return copy and own(copy, owner)
    return plugin


@attrs.frozen
class _Claim:
    """Who has a plugin object, and which attributes it had before it was configured."""

    owner: weakref.ref[Owner]
    attributes: frozenset[str]


_CLAIM: Final = "_claim"
_claiming: Final = threading.Lock()


def _is_taken(plugin: Plugin, owner: Owner) -> bool:
    """Say whether another gateway has a plugin object; give it to ``owner`` if not."""
    with _claiming:
        claim: _Claim | None = vars(plugin).get(_CLAIM)
        holder = None if claim is None else claim.owner()
        if holder is not None and holder is not owner and not holder.gone:
            return True
        attributes = frozenset(vars(plugin)) if claim is None else claim.attributes
        vars(plugin)[_CLAIM] = _Claim(weakref.ref(owner), attributes)
        return False


def _copied(item: Item) -> Item:
    plugin = _plugin(item)
    copy = _copy(plugin) if isinstance(plugin, Plugin) else None
    if copy is None:
        return item
    return attrs.evolve(item, plugin=copy) if isinstance(item, Entry) else copy


def _copy(plugin: Plugin) -> Plugin | None:
    """Return a plugin object like this one before it was configured; None if its configuration is not all."""
    if type(plugin).__init__ is not Plugin.__init__:
        return None
    copy = type(plugin).load(plugin.config)
    claim: _Claim | None = vars(plugin).get(_CLAIM)
    more = (claim.attributes if claim else frozenset(vars(plugin))) - set(vars(copy))
    if not more <= {"fail_closed"}:
        return None
    for name in more:
        setattr(copy, name, getattr(plugin, name))
    return copy


def _plugin(item: Item) -> Plugin | Mapping[str, object]:
    return item.plugin if isinstance(item, Entry) else item
