"""Shared state: counters and small values behind one interface, chosen by URL."""

from plugmw.stores.auto import auto_url
from plugmw.stores.base import Store
from plugmw.stores.urls import open_store

__all__ = ["Store", "auto_url", "open_store"]
