"""Change method, path, headers, query and body of requests before the app sees them."""

from plugmw.contrib.request_transformer.plugin import RequestTransformer as RequestTransformer
