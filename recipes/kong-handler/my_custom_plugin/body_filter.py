"""What the handler does in body_filter."""

from plugmw.dialects.kong import kong


def execute(config):
    body = kong.response.get_raw_body()
    if body is not None and config.shout:
        kong.response.set_raw_body(body.upper())
