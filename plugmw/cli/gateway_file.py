"""Commands about a gateway file: check, show, explain."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sized

from plugmw.cli import report_lines
from plugmw.cli.command import BAD, GOOD, USAGE, Command, Failure, Terminal
from plugmw.configuration.extras import Extras
from plugmw.configuration.plan import Plan, read_plan
from plugmw.configuration.rehearsal import rehearse
from plugmw.configuration.translators import DIALECTS, translator
from plugmw.documents import fingerprint, load
from plugmw.documents.translated import Options
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.inspection import description
from plugmw.inspection.explain import Request
from plugmw.inspection.explain import explain as explain_request
from plugmw.kernel.dry_run import SideEffect
from plugmw.schema.messages import suggest
from plugmw.wsgi.answer import check_header
from plugmw.wsgi.text import encode


def read(path: str, dialect: str | None = None, online: bool = False) -> Plan:
    """Read a gateway file; raises :class:`ConfigErrors`, or :class:`Failure` if it cannot be read.

    ``dialect`` says whose it is; without it the content does. Unless ``online`` nothing is fetched.
    """
    if not (dialect == "tyk" and os.path.isdir(path)):  # Tyk's apps are a folder
        try:
            fingerprint(path)
        except ConfigError as error:
            raise Failure(str(error)) from None
    try:
        return read_plan(path, Extras(dialect=dialect, options=Options(offline=not online, checks=True)))
    except SystemExit:
        raise Failure(f"{path}: a plugin's module ended the program when it was imported", BAD) from None


def _file(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the gateway file (.json, .yaml, .yml, .toml)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_dialect(parser)


def add_dialect(parser: ArgumentParser) -> None:
    """Add the option that says whose file it is."""
    parser.add_argument(
        "--dialect", choices=DIALECTS, help="whose file it is, if its content does not say so"
    )


# -- check --------------------------------------------------------------------------------------------


def _check_arguments(parser: ArgumentParser) -> None:
    _file(parser)
    parser.add_argument(
        "--lint", action="store_true", help="report what a krakend.json has and KrakenD does not know"
    )
    parser.add_argument("--strict", action="store_true", help="take warnings for errors")
    parser.add_argument("--online", action="store_true", help="fetch and connect as a start would")


def check(args: Namespace, terminal: Terminal) -> int:
    plan, status = None, GOOD
    errors: list[ConfigError] = []
    warnings: list[ConfigError] = []
    try:
        plan = read(args.file, args.dialect, args.online)
        errors, warnings = rehearse(plan, args.online)
        warnings = [*plan.warnings, *warnings]
        status = BAD if errors else GOOD
    except ConfigErrors as refused:
        errors, status = refused.errors, BAD
    except ConfigError as refused:
        errors, status = [refused], BAD
    except Failure as failure:
        if not args.json:
            raise
        problem = failure.message.removeprefix(f"{args.file}: ")
        errors, status = [ConfigError("", problem, source=args.file)], failure.status
    if args.lint and status != USAGE:
        errors = [*errors, *_lint(args.file, args.dialect)]
        status = BAD if errors else GOOD
    told = set(map(str, errors))
    warnings = [warning for warning in warnings if str(warning) not in told]
    if args.strict and warnings:
        errors, warnings, status = [*errors, *warnings], [], BAD
    if args.json:
        problems = {"errors": [_problem(e) for e in errors], "warnings": [_problem(w) for w in warnings]}
        terminal.json({"ok": status == GOOD, **problems})
        return status
    for error in errors:
        terminal.error(str(error))
    for warning in warnings:
        terminal.error(f"warning: {warning}")
    if plan is not None and not errors:
        counts = f"{_count(plan.entries, 'entry', 'entries')}, {_count(plan.routes, 'route', 'routes')}"
        terminal.print(f"{args.file}: good, {counts}")
    return status


def _lint(path: str, dialect: str | None) -> list[ConfigError]:
    """Return the fields that run time leaves alone and nobody knows; a gateway file never has any."""
    from plugmw.dialects.krakend.linting import lint

    try:
        document = load(path)
    except ConfigError:
        return []  # which was reported already
    chosen = translator(document.data)
    name = dialect or (chosen.name if chosen else None)
    return lint(document) if name == "krakend" else []


def _problem(error: ConfigError) -> dict[str, str | None]:
    return {
        "path": error.path,
        "source": error.source,
        "problem": error.problem,
        "expected": error.expected,
    }


def _count(items: Sized, one: str, many: str) -> str:
    return f"{len(items)} {one if len(items) == 1 else many}"


# -- show ---------------------------------------------------------------------------------------------


def _show_arguments(parser: ArgumentParser) -> None:
    _file(parser)
    parser.add_argument("--route", metavar="NAME", help="only this route")


def show(args: Namespace, terminal: Terminal) -> int:
    plan = read(args.file, args.dialect)
    names = [route.name for route in plan.routes]
    if args.route is not None and args.route not in names:
        raise Failure(f'{args.file}: no route "{args.route}"{suggest(args.route, names)}')
    report = description.show(plan, args.route)
    if args.json:
        terminal.json(report)
    else:
        terminal.print("\n".join(report_lines.show(report)))
    return GOOD


# -- explain ------------------------------------------------------------------------------------------


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ArgumentTypeError(f"got {text!r}, expected 'Name: value'")
    try:
        value = encode(value.strip(), "surrogateescape")
        check_header(name, value)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return name, value


def _target(text: str) -> str:
    if not text.startswith(("/", "http://", "https://")):
        raise ArgumentTypeError(f"got {text!r}, expected a path that starts with /, or an http(s) URL")
    return text


def _explain_arguments(parser: ArgumentParser) -> None:
    _file(parser)
    parser.add_argument("method", metavar="METHOD", help="the method, exactly as it would be sent")
    parser.add_argument("path", metavar="PATH", type=_target, help="path and query, or a whole URL")
    parser.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", type=_header, action="append", default=[], dest="headers"
    )
    parser.add_argument("--consumer", metavar="NAME", help="take this consumer as authenticated")
    parser.add_argument("--from", metavar="ADDRESS", default="127.0.0.1", dest="address", help="the client")
    parser.add_argument(
        "--run", action="store_true", help="let entries call out, start threads and log, for real"
    )


def explain(args: Namespace, terminal: Terminal) -> int:
    read(args.file, args.dialect)
    request = Request(args.method, args.path, args.headers, args.address)
    try:
        explanation = explain_request(
            args.file, request, consumer=args.consumer, run=args.run, dialect=args.dialect
        )
    except LookupError as error:
        raise Failure(f"{args.file}: {error.args[0]}", USAGE) from None
    except SideEffect as error:
        message = f"{args.file}: a plugin would {error.what} outside of its phases; --run lets it"
        raise Failure(message, BAD) from None
    if args.json:
        terminal.json(explanation)
    else:
        terminal.print("\n".join(report_lines.explain(explanation)))
    return GOOD


COMMANDS = (
    Command("check", "Say everything that is wrong with a gateway file.", check, _check_arguments),
    Command("show", "Print the order in force, per route, and why.", show, _show_arguments),
    Command("explain", "Try one request and print what every entry does.", explain, _explain_arguments),
)
