"""The functions that pre-function and post-function run."""


def note(x):
    x.ctx["noted"] = True


def done(x):
    x.ctx.pop("noted", None)
