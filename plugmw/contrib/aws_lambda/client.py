"""A client of AWS Lambda by botocore, which signs, finds credentials and refreshes them.

Needs ``pip install 'plugmw[aws]'``. Nothing is opened before a client is asked for.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Protocol

from botocore.config import Config as Settings
from botocore.credentials import AssumeRoleCredentialFetcher, Credentials, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError
from botocore.session import Session

if TYPE_CHECKING:
    from plugmw.contrib.aws_lambda.plugin import Config


class Lambda(Protocol):
    """What is used of botocore's client."""

    def invoke(self, **parameters: object) -> dict[str, Any]:
        """Call a function."""

    def close(self) -> None:
        """Close the connections."""


def client(c: Config) -> Lambda:
    """Return a client of Lambda whose credentials are refreshed by themselves before they expire."""
    region = c.aws_region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise ValueError("no region is configured, nor in AWS_REGION or AWS_DEFAULT_REGION")
    _quiet()
    session = Session()
    if c.aws_imds_protocol_version == "v2":
        session.set_config_variable("ec2_metadata_v1_disabled", True)
    settings = Settings(
        connect_timeout=c.timeout / 1000,
        read_timeout=c.timeout / 1000,
        # A call may have had its effect: botocore would repeat it.
        retries={"total_max_attempts": 1},
        # An empty mapping: no proxies of the environment.
        proxies={"http": c.proxy_url, "https": c.proxy_url} if c.proxy_url else {},
        max_pool_connections=64,
        # An endpoint of the environment must not get what is signed for Lambda or STS.
        ignore_configured_endpoint_urls=True,
    )
    credentials = Credentials(c.aws_key, c.aws_secret) if c.aws_key else session.get_credentials()
    if credentials is None:
        # Not kept: they may come.
        raise NoCredentialsError
    if c.aws_assume_role_arn:

        def sts(service: str, **keys: object) -> object:
            url = c.aws_sts_endpoint_url
            return session.create_client(
                service, region_name=region, endpoint_url=url, config=settings, **keys
            )

        named = {"RoleSessionName": c.aws_role_session_name}
        role = AssumeRoleCredentialFetcher(sts, credentials, c.aws_assume_role_arn, extra_args=named)
        credentials = DeferredRefreshableCredentials(role.fetch_credentials, "assume-role")
    # The session has a public way for keys that stay, but none for those that are refreshed.
    session._credentials = credentials
    scheme = "http" if c.disable_https else "https"
    host = c.host or f"lambda.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    # A usual port is not named: it is not in what is signed, but through a proxy it would be in Host.
    port = "" if c.port == (80 if c.disable_https else 443) else f":{c.port}"
    url = f"{scheme}://{host}{port}"
    created: Lambda = session.create_client("lambda", region_name=region, endpoint_url=url, config=settings)
    return created


def _quiet() -> None:
    """Keep botocore from telling what it sends where everything is logged at DEBUG.

    That is requests with their credentials; who wants it sets the level of the logger ``botocore``.
    """
    logger = logging.getLogger("botocore")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
