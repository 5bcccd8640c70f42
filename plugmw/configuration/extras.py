"""The arguments of a gateway beside its document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from plugmw.auth.directories import Consumers
from plugmw.documents.translated import Options
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.runtime import Logger
from plugmw.stores import Store

#: A plugin object, an entry, or a mapping as in a document.
Item = Plugin | Entry | Mapping[str, object]


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

    def again(self) -> Extras:
        """Return the arguments of a further reading: its own copies of the plugin objects.

        A class with an ``__init__`` of its own cannot be copied; its object is in both, as it is.
        """
        plugins = [_copied(item) for item in self.plugins]
        used = frozenset(id(_plugin(item)) for item in self.plugins)
        return attrs.evolve(self, plugins=plugins, used=used)


def _copied(item: Item) -> Item:
    plugin = _plugin(item)
    if not isinstance(plugin, Plugin) or type(plugin).__init__ is not Plugin.__init__:
        return item
    copy = type(plugin).load(plugin.config)
    return attrs.evolve(item, plugin=copy) if isinstance(item, Entry) else copy


def _plugin(item: Item) -> Plugin | Mapping[str, object]:
    return item.plugin if isinstance(item, Entry) else item
