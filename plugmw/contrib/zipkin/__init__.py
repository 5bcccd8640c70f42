"""Pass trace headers on, and send spans of sampled requests to a Zipkin server."""

from plugmw.contrib.zipkin.plugin import Zipkin as Zipkin
