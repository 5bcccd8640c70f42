"""Django can be configured once in a process: by this, for every test that needs it here."""

from __future__ import annotations

from typing import Any


def configure(urls: Any) -> None:
    """Set Django up on first use; ``urls`` (with ``urlpatterns``) are in force from now on."""
    import django
    from django.conf import settings
    from django.urls import clear_url_caches

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            INSTALLED_APPS=["plugmw.mounts.django"],
            LOGGING_CONFIG=None,
            MIDDLEWARE=["plugmw.mounts.django.ConsumerMiddleware"],
            ROOT_URLCONF=urls,
            SECRET_KEY="only for tests",
            USE_TZ=True,
        )
        django.setup()
    settings.ROOT_URLCONF = urls
    clear_url_caches()
