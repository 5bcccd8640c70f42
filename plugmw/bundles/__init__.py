"""Bundles: plugins in a zip with a manifest, signed, fetched from a web server, kept on disk (as Tyk's)."""

from plugmw.bundles.bundle import Bundle as Bundle
from plugmw.bundles.bundles import Bundles as Bundles
from plugmw.bundles.manifest import Manifest as Manifest
