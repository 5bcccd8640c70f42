"""System checks: ``manage.py check`` says everything that is wrong with the gateway's configuration.

``plugmw.E001`` is a configuration error, one for each; ``plugmw.E002`` a missing ``settings.PLUGMW``;
``plugmw.W001`` something that is allowed and probably not meant.
"""

from __future__ import annotations

from django.core.checks import CheckMessage, Error, Warning

from plugmw.configuration.extras import Extras
from plugmw.configuration.plan import read_plan
from plugmw.configuration.rehearsal import rehearse
from plugmw.documents.translated import Options
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.mounts.django.wsgi import setting


def check_configuration(**_: object) -> list[CheckMessage]:
    """Read ``settings.PLUGMW`` as the gateway would, and start nothing."""
    try:
        config = setting()
    except ConfigError as error:
        hint = 'Set it to a path or a mapping: PLUGMW = BASE_DIR / "gateway.yaml"'
        return [Error(str(error), hint=hint, id="plugmw.E002")]
    try:
        plan = read_plan(config, Extras(options=Options(offline=True)))
        errors, warnings = rehearse(plan)
    except ConfigErrors as refused:
        return [_message(Error, "plugmw.E001", error) for error in refused.errors]
    except ConfigError as error:
        return [_message(Error, "plugmw.E001", error)]
    return [
        *(_message(Error, "plugmw.E001", error) for error in errors),
        *(_message(Warning, "plugmw.W001", warning) for warning in [*plan.warnings, *warnings]),
    ]


def _message(kind: type[CheckMessage], id: str, error: ConfigError) -> CheckMessage:
    place = ": ".join(part for part in (error.source or "settings.PLUGMW", error.path, error.problem) if part)
    return kind(place, hint=error.expected and f"Expected {error.expected}", id=id)
