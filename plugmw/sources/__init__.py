"""Where plugin classes come from."""

from plugmw.sources.catalogue import Catalogue as Catalogue
from plugmw.sources.catalogue import PluginSource as PluginSource
from plugmw.sources.folder import Folder as Folder
