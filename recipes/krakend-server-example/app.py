"""KrakenD's document "HTTP server plugins": the gateway that its `krakend.json` describes."""

import logging
import sys

from plugmw import Gateway
from plugmw.dialects.krakend import formatter

# KrakenD's default log: every level, on standard output.
console = logging.StreamHandler(sys.stdout)
console.setFormatter(formatter())
logging.getLogger("plugmw").addHandler(console)
logging.getLogger("plugmw").setLevel(logging.DEBUG)

# No app behind it: what the file does not answer is KrakenD's 404.
app = Gateway.from_krakend(None, "krakend.json")
