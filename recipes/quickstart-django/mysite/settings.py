"""A Django project as `startproject` makes it, and three lines for plugmw (marked)."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# For trying out only: a real site takes both from its environment.
SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-the-quickstart")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

PLUGMW = BASE_DIR / "gateway.yaml"  # plugmw: read by wrap_django() in wsgi.py and by `manage.py check`

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "plugmw.mounts.django",  # plugmw: the system checks
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "plugmw.mounts.django.ConsumerMiddleware",  # plugmw: request.consumer
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", BASE_DIR / "db.sqlite3"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
USE_TZ = True
