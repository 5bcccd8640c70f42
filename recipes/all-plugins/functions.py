"""The functions that pre-function and post-function run."""


def note(exchange):
    exchange.ctx["noted"] = True


def done(exchange):
    exchange.ctx.pop("noted", None)
