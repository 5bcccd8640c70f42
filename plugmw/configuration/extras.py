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

    def again(self) -> Extras:
        """Return the arguments of a further reading: its own copies of the plugin objects.

        A class with an ``__init__`` of its own cannot be copied; its object is in both, as it is.
        """
        plugins = [_copied(item) for item in self.plugins]
        used = frozenset(id(_plugin(item)) for item in self.plugins)
        return attrs.evolve(self, plugins=plugins, used=used)


def own(plugin: Plugin, owner: Owner) -> Plugin | None:
    """Return ``plugin`` for the gateway of ``owner``: itself, or a copy if it belongs to another gateway.

    A plugin object has one runtime and one life, so no two gateways may have it. None if it is another's
    and cannot be copied, as its class has an ``__init__`` of its own.
    """
    if _is_taken(plugin, owner):
        gc.collect()  # the other may be over: gateways are in cycles
        if _is_taken(plugin, owner):
            return None if _is_made_apart(plugin) else own(_copy(plugin), owner)
    return plugin


_OWNER: Final = "_owner"
_owning: Final = threading.Lock()


def _is_taken(plugin: Plugin, owner: Owner) -> bool:
    """Say whether another gateway has a plugin object; give it to ``owner`` if not."""
    with _owning:
        reference: weakref.ref[Owner] | None = vars(plugin).get(_OWNER)
        holder = None if reference is None else reference()
        if holder is not None and holder is not owner and not holder.gone:
            return True
        vars(plugin)[_OWNER] = weakref.ref(owner)
        return False


def _copied(item: Item) -> Item:
    plugin = _plugin(item)
    if not isinstance(plugin, Plugin) or _is_made_apart(plugin):
        return item
    copy = _copy(plugin)
    return attrs.evolve(item, plugin=copy) if isinstance(item, Entry) else copy


def _is_made_apart(plugin: Plugin) -> bool:
    """Say whether the configuration alone does not make another object like this one."""
    return type(plugin).__init__ is not Plugin.__init__


def _copy(plugin: Plugin) -> Plugin:
    copy = type(plugin).load(plugin.config)
    if "fail_closed" in vars(plugin):  # set on the object, by whoever made it or by its configure
        copy.fail_closed = plugin.fail_closed
    return copy


def _plugin(item: Item) -> Plugin | Mapping[str, object]:
    return item.plugin if isinstance(item, Entry) else item
