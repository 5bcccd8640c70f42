"""Package metadata; pyproject.toml holds only the build system and tool settings."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1]
    for line in (HERE / "plugmw/__init__.py").read_text(encoding="utf-8").splitlines()
    if line.startswith("__version__")
)

FLASK = ["flask>=3.1.3"]
DJANGO = ["django>=5.2.13"]
REDIS = ["redis>=5.2"]
#: Consumers in PostgreSQL (plugmw.auth.directories.postgres).
POSTGRES = ["psycopg[binary]>=3.2.3"]
#: Plugin servers that speak MessagePack (plugmw.dialects.kong.servers).
RPC = ["msgpack>=1.1"]
#: Signatures, credentials and STS for the aws-lambda plugin.
AWS = ["botocore>=1.35.74"]
JWT = ["PyJWT[crypto]>=2.12"]
#: The ldap-auth plugin.
LDAP = ["ldap3>=2.9.1,<3"]
#: Lua texts among the custom fields of log plugins.
LUA = ["lupa>=2.2"]
PROMETHEUS = ["prometheus-client>=0.20"]
#: Signatures of bundles (plugmw.bundles).
BUNDLES = ["cryptography>=46.0.7"]
DEV = [
    *AWS,
    *BUNDLES,
    *FLASK,
    *DJANGO,
    *REDIS,
    *POSTGRES,
    *RPC,
    *JWT,
    *LDAP,
    *LUA,
    *PROMETHEUS,
    "boto3>=1.35.74",
    "cheroot>=10.0.1",
    "falcon>=4.0",
    "gevent>=24.10.1",
    "gevent-websocket>=0.10.1",
    "hypothesis>=6.100",
    "jsonschema>=4.26",
    "kong-pdk>=0.36",
    "moto[server]>=5.0.20",
    "mypy>=1.13",
    "pip>=26",
    "pyramid>=2.1",
    "pytest>=9.0.3",
    "pytest-cov>=5",
    "pytest-timeout>=2.4",
    "pytest-randomly>=3.16",
    "pytest-xdist>=3.6.1",
    "requests-oauthlib>=2",
    "ruff>=0.9",
    "types-PyYAML>=6.0.12.20250516",
    "types-requests>=2.32.4.20250611",
    "waitress>=3.0.1",
]
#: WSGI servers that are compiled when they are installed, with libev and Apache's headers, for tests/servers.
SERVERS = ["bjoern>=3.2.2", "mod_wsgi>=5.0.2", "uWSGI>=2.0.31"]
DOCS = ["furo>=2024.8.6", "sphinx>=7.4"]

setup(
    name="plugmw",
    version=VERSION,
    description="API-gateway plugins in front of any WSGI app, in the process of the app",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["plugmw", "plugmw.*"]),
    package_data={"plugmw": ["py.typed"], "plugmw.dialects.prest.include": ["plugmw_*"]},
    python_requires=">=3.10",
    install_requires=[
        "attrs>=23.2",
        "gunicorn>=23",
        "packaging>=23",
        "PyYAML>=6.0.2",
        "requests>=2.33",
        "tomli>=2.0.1; python_version < '3.11'",
        "WebOb>=1.8.9",
        "werkzeug>=3.1.6",
    ],
    extras_require={
        "aws": AWS,
        "bundles": BUNDLES,
        "django": DJANGO,
        "flask": FLASK,
        "jwt": JWT,
        "ldap": LDAP,
        "lua": LUA,
        "postgres": POSTGRES,
        "prometheus": PROMETHEUS,
        "redis": REDIS,
        "rpc": RPC,
        # PyYAML comes with plugmw; the name stays so that a requirement on plugmw[yaml] keeps working.
        "yaml": [],
        "dev": DEV,
        "docs": DOCS,
        "servers": SERVERS,
    },
    entry_points={"console_scripts": ["plugmw = plugmw.cli:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Django",
        "Framework :: Flask",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: Internet :: WWW/HTTP :: WSGI :: Middleware",
        "Typing :: Typed",
    ],
)
