"""The Django app that registers the checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class PlugMWConfig(AppConfig):  # type: ignore[misc]
    """For ``INSTALLED_APPS``: no models, only system checks."""

    name = "plugmw.mounts.django"
    label = "plugmw"
    verbose_name = "plugmw"

    def ready(self) -> None:
        from plugmw.mounts.django.checks import check_configuration

        checks.register(check_configuration, "plugmw")
