"""Answer requests by invoking a Lambda function, without asking the app.

    plugins:
      - name: aws-lambda
        config:
          aws_region: eu-central-1
          function_name: orders
          is_proxy_integration: true
          awsgateway_compatible: true

The function is told of the request (:mod:`plugmw.contrib.aws_lambda.payload`); the client sees its answer.
With ``is_proxy_integration`` the answer says status, headers and body; one that does not is 502. When Lambda
cannot be asked or refuses: 500 ``{"message": "An unexpected error occurred"}``, the reason is only logged. A
call is made once, never repeated. Without keys the usual chain of credentials is asked: environment, files,
containers, the machine's role. Needs ``pip install 'plugmw[aws]'``.

Fails closed. Contract: Kong's aws-lambda (``kong/plugins/aws-lambda``), with certificates verified.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final, Literal
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from plugmw.concurrency.deadline import Deadline
from plugmw.contrib.aws_lambda import payload
from plugmw.contrib.aws_lambda.client import Lambda, client
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import REQUIRED, Finding, above, at_least, config, field, matches
from plugmw.schema.fields import URL, Port
from plugmw.telemetry.log_entry import changes_of, latencies
from plugmw.transform.rules import is_json, write_json
from plugmw.wsgi.answer import UNEXPECTED

_HOST: Final = matches("[A-Za-z0-9_.-]+", "a host without a port")
_REGION: Final = matches("[A-Za-z0-9-]+", "the name of a region, such as eu-central-1")
_FUNCTION: Final = matches("[A-Za-z0-9_:$./-]+", "the name or the ARN of a function")
_STEP: Final = 64 * 1024


@config
class Config:
    """Which function, as whom, and what it is told."""

    function_name: str = field(REQUIRED, _FUNCTION, help="Name or ARN of the function.")
    qualifier: str | None = field(None, help="Version or alias of the function.")
    aws_key: str | None = field(None, secret=True, help="Access key; none: the usual chain of credentials.")
    aws_secret: str | None = field(None, secret=True, help="Secret that belongs to `aws_key`.")
    aws_region: str | None = field(
        None, _REGION, help="Region; none: AWS_REGION, then AWS_DEFAULT_REGION of the environment."
    )
    host: str | None = field(None, _HOST, help="Host to call; none: `lambda.REGION.amazonaws.com`.")
    port: Port = field(443, help="Port to call.")
    disable_https: bool = field(False, help="Whether to call without TLS.")
    aws_assume_role_arn: str | None = field(None, help="ARN of a role that is assumed before.")
    aws_role_session_name: str = field("kong", help="Name of the session of that role.")
    aws_sts_endpoint_url: URL | None = field(
        None, help="Where the role is asked for; none: the STS of the region."
    )
    aws_imds_protocol_version: Literal["v1", "v2"] = field(
        "v1", help="Protocol of the machine's metadata; v1 is used only where v2 is not there."
    )
    invocation_type: Literal["RequestResponse", "Event", "DryRun"] = field(
        "RequestResponse", help="Whether to wait for the function's answer."
    )
    log_type: Literal["Tail", "None"] = field("Tail", help="Whether Lambda is asked for the end of the log.")
    timeout: float = field(60_000, above(0), help="Milliseconds to connect, and to send and read.")
    keepalive: float = field(
        60_000, at_least(0), inert=True, help="Milliseconds; does nothing, idle connections stay."
    )
    proxy_url: URL | None = field(None, secret=True, help="An HTTP proxy for the calls.")
    unhandled_status: int | None = field(None, help="Status for errors that the function does not handle.")
    forward_request_method: bool = field(False, help="Whether the function is told the method.")
    forward_request_uri: bool = field(False, help="Whether the function is told path and query.")
    forward_request_headers: bool = field(False, help="Whether the function is told the headers.")
    forward_request_body: bool = field(False, help="Whether the function is told the body.")
    awsgateway_compatible: bool = field(False, help="Whether the function is told as API Gateway does it.")
    is_proxy_integration: bool = field(False, help="Whether the function says status, headers and body.")
    skip_large_bodies: bool = field(True, help="Whether a body above `large_body` is left out.")
    large_body: int = field(8192, at_least(0), help="Bytes of a body that is not large yet.")
    base64_encode_body: bool = field(True, help="Whether bodies that are no text are sent as base64.")
    empty_arrays_mode: Literal["legacy", "correct"] = field(
        "legacy", help="Whether an empty array in the answer becomes an empty object, as in older versions."
    )

    def check(self) -> Iterator[Finding]:
        if (self.aws_key is None) != (self.aws_secret is None):
            yield "all or none of these fields must be set: 'config.aws_key', 'config.aws_secret'"
        if self.proxy_url and urlsplit(self.proxy_url).scheme != "http":
            yield "proxy_url", "proxy_url scheme must be http"
        status = self.unhandled_status
        if status is not None and not 100 <= status <= 999:
            yield "unhandled_status", f"got {status}, value should be between 100 and 999"
        elif status is not None and not 200 <= status <= 599:
            yield "unhandled_status", f"got {status}, which a WSGI app cannot send; expected 200 to 599"


class AWSLambda(Plugin[Config]):
    """Phases: access, log."""

    name, priority, Config = "aws-lambda", 750, Config
    fail_closed = True

    def init_worker(self) -> None:
        self._lock = threading.Lock()
        self._client: Lambda | None = None

    def access(self, x: Exchange) -> None:
        c = self.config
        event = write_json(self._payload(x))
        begun = time.monotonic()
        try:
            status, headers, data = self._invoke(event, x.runtime.max_response_body)
        except ClientError as error:
            # Its text may repeat what was signed, and so the session's token.
            code, response = error.response["Error"].get("Code"), error.response["ResponseMetadata"]
            self._failed(x, f"Lambda answered {response.get('HTTPStatusCode')} {code!r:.200}")
        except (BotoCoreError, OSError, ValueError) as error:
            self._failed(x, type(error).__name__ if isinstance(error, BotoCoreError) else str(error))
        finally:
            x.state(self)["took"] = time.monotonic() - begun
        if c.is_proxy_integration:
            try:
                status, own, data = payload.read_proxy(data)
            except ValueError as error:
                why = f"could not JSON decode Lambda function response: {error}"
                x.exit(502, {"message": "Bad Gateway", "error": why})
            headers = payload.over(headers, own)
        else:
            if c.unhandled_status and ("x-amz-function-error", "Unhandled") in headers:
                status = c.unhandled_status
            if c.empty_arrays_mode == "legacy" and is_json(dict(headers).get("content-type", "")):
                data = payload.without_empty_arrays(data)
        x.exit(status, data, [*headers, ("Via", "1.1 plugmw")])

    def log(self, x: Exchange) -> None:
        took = x.state(self).get("took")
        if took is not None and x.begun:
            ms = int(took * 1000)
            changes = changes_of(x)
            changes.append(("latencies.proxy", ms, "set"))
            changes.append(("latencies.kong", max(0, latencies(x)["kong"] - ms), "set"))

    def close(self) -> None:
        client, self._client = getattr(self, "_client", None), None
        if client is not None:
            client.close()

    def _payload(self, x: Exchange) -> object:
        c = self.config
        forwards = c.forward_request_method or c.forward_request_uri or c.forward_request_headers
        data = b""
        if c.awsgateway_compatible or c.forward_request_body or not forwards:
            data = x.read_body()
        if c.skip_large_bodies and len(data) > c.large_body:
            self.logger.error("aws-lambda: request body of %d bytes is left out, too large", len(data))
            data = b""
        if c.awsgateway_compatible:
            return payload.api_gateway(x, data, c.base64_encode_body)
        if forwards or c.forward_request_body:
            return payload.forwarded(x, data, c)
        return payload.plain(x.environ.get("QUERY_STRING", ""), x.environ.get("CONTENT_TYPE", ""), data)

    def _failed(self, x: Exchange, why: str) -> None:
        self.logger.error("aws-lambda: the function could not be invoked: %s", why)
        x.exit(500, {"message": UNEXPECTED})

    def _invoke(self, event: bytes, limit: int) -> tuple[int, payload.Headers, bytes]:
        """Call the function once; return status, headers and body."""
        c = self.config
        deadline = Deadline.after(c.timeout / 1000, time.monotonic)
        parameters: dict[str, object] = {
            "FunctionName": c.function_name,
            "InvocationType": c.invocation_type,
            "LogType": c.log_type,
            "Payload": event,
        }
        if c.qualifier:
            parameters["Qualifier"] = c.qualifier
        answer = self._lambda().invoke(**parameters)
        data = b""
        with closing(answer["Payload"]) as stream:
            while chunk := stream.read(_STEP):
                data += chunk
                if len(data) > limit:
                    raise ValueError(f"the answer is longer than {limit} bytes")
                if deadline.expired:
                    raise TimeoutError("the answer did not end in time")
        response = answer["ResponseMetadata"]
        headers = payload.kept_headers(response["HTTPHeaders"].items())
        return int(response["HTTPStatusCode"]), headers, data

    def _lambda(self) -> Lambda:
        """Return this process's client, made when it is first needed; without a region ValueError."""
        if self._client is None:
            with self._lock:
                if self._client is None:  # pragma: no branch (else another thread was first)
                    self._client = client(self.config)
        return self._client
