"""A WSGI app with one function over its responses."""

from modifiers import my_plugin_response

from plugmw import ResponseModifier


def orders(environ, start_response):
    body = b'{"orders": [{"id": 1, "what": "tea"}]}'
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


#: The function as a plain WSGI middleware...
app = ResponseModifier(orders, my_plugin_response)
