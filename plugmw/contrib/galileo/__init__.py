"""Send exchanges as ALF 1.1.0, a JSON format like HAR, to a Galileo collector."""

from plugmw.contrib.galileo.plugin import Galileo as Galileo
