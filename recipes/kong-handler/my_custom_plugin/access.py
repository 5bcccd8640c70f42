"""What the handler does in access."""

from plugmw.dialects.kong import kong


def execute(config):
    if kong.request.get_header("x-forbidden"):
        kong.response.exit(403, {"message": config.refusal})
    kong.service.request.set_header("X-Greeting", config.greeting)
