"""Count requests, bytes and latencies for Prometheus, over all workers of a server."""

from plugmw.contrib.prometheus.plugin import Exporter as Exporter
from plugmw.contrib.prometheus.plugin import Prometheus as Prometheus
