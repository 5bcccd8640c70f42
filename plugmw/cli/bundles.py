"""The command about plugins in zips: bundle build, verify, fetch, list."""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plugmw import __version__
from plugmw.bundles import Bundles, Manifest, building, vendoring
from plugmw.bundles.archive import MANIFEST
from plugmw.bundles.bundles import read_manifest, unpack
from plugmw.bundles.installed import homes
from plugmw.bundles.naming import build_name
from plugmw.bundles.signatures import read_private_key, read_public_key
from plugmw.cli.command import BAD, GOOD, Command, Failure, Terminal, columns
from plugmw.errors import LoadError
from plugmw.loading.regular import read_regular


def build(args: Namespace, terminal: Terminal) -> int:
    path, folder = Path(args.manifest), Path()
    manifest = building.read(path)
    files = building.listed(manifest, folder, args.manifest)
    system, processor, tags = vendoring.target(args.platform)
    libraries = {}
    if args.platform or args.python:
        libraries = vendoring.vendored(
            vendoring.requirements(manifest, folder, args.manifest), tags, args.python
        )
    key = _private_key(args, terminal)
    data, done = building.build(manifest, files, key=key, libraries=libraries, build_id=args.build_id)
    stem = str(manifest.other.get("name") or folder.resolve().name) + (
        f"-{args.build_id}" if args.build_id else ""
    )
    out = Path(args.out or build_name(stem, args.version, system, processor, ".zip"))
    _write(out, data)
    terminal.print(f"wrote {out}: {_about(done)}")
    return GOOD


def _private_key(args: Namespace, terminal: Terminal) -> Any:
    """Return the key to sign with; None if the user agrees to a bundle without a signature."""
    if args.key:
        return read_private_key(args.key)
    if not args.yes:
        terminal.print("no key is given, the bundle will not be signed; type y to go on:")
        terminal.flush()
        if not sys.stdin.readline().lower().startswith("y"):
            raise Failure("aborted, nothing written", BAD)
    return None


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}", BAD) from None


def _about(manifest: Manifest) -> str:
    count = len(manifest.file_list)
    signed = "signed" if manifest.signature else "not signed"
    if manifest.signature and not manifest.plugmw_signature:
        signed = "signed without names and manifest, as Tyk signs"
    return f"{count} file{'s' if count != 1 else ''}, checksum {manifest.checksum}, {signed}"


def verify(args: Namespace, terminal: Terminal) -> int:
    try:
        data = read_regular(args.file)
    except OSError as error:
        raise Failure(f"{args.file}: cannot be read: {error.strerror}") from None
    key = read_public_key(args.public_key) if args.public_key else None
    with tempfile.TemporaryDirectory(prefix="plugmw-bundle-") as folder:
        manifest = unpack(data, Path(folder), args.file, key, compat=args.compat)
    unchecked = " (not checked: no --public-key)" if manifest.signature and key is None else ""
    terminal.print(f"{args.file}: good, {_about(manifest)}{unchecked}")
    return GOOD


def fetch(args: Namespace, terminal: Terminal) -> int:
    bundles = Bundles(args.folder, args.base_url, public_key=args.public_key, compat=args.compat)
    bundle = bundles.get(args.name)
    for part in bundle.parts:
        terminal.print(f"{part.name}: {part.folder}: {_about(part.manifest)}")
    return GOOD


def list_(args: Namespace, terminal: Terminal) -> int:
    rows = [("bundle", "version", "driver", "hooks", "signed", "folder")]
    status = GOOD
    for home in homes(Path(args.folder) / "bundles"):
        folder = home.current() or home.folder
        try:
            manifest = read_manifest(folder)
        except LoadError as error:
            terminal.error(str(error))
            status = BAD
            continue
        hooks = manifest.custom_middleware
        kinds = [kind for kind in hooks if kind != "driver" and hooks[kind]]
        signed = "yes" if manifest.signature else "no"
        version = folder.name if folder != home.folder else ""
        rows.append((home.name, version, str(hooks.get("driver", "")), " ".join(kinds), signed, str(folder)))
    terminal.print("\n".join(columns(rows)) if len(rows) > 1 else "no bundles")
    return status


def _arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, text: str, run: Callable[[Namespace, Terminal], int]) -> ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(action=run)
        return sub

    sub = action("build", "Make a bundle of the files here that a manifest names.", build)
    sub.add_argument("-m", "--manifest", metavar="FILE", default=MANIFEST, help="what to pack (%(default)s)")
    sub.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        dest="out",
        help="the bundle; named after version and system if not given",
    )
    sub.add_argument("-k", "--key", metavar="FILE", help="the RSA private key (PEM) to sign with")
    sub.add_argument("-y", "--yes", action="store_true", help="do not ask when there is no key")
    sub.add_argument(
        "--build-id", metavar="ID", default="", help="sets this build apart from another of the same"
    )
    sub.add_argument(
        "--version", metavar="V", default=__version__, help="the version in the bundle's name (%(default)s)"
    )
    sub.add_argument(
        "--platform", metavar="P", help="vendor the requirements for this system, such as linux/arm64"
    )
    sub.add_argument("--python", metavar="V", help="vendor them for this Python, such as 3.12")
    sub = action("verify", "Check a bundle: its archive, its checksum and its signature.", verify)
    sub.add_argument("file", metavar="FILE", help="the bundle")
    _key_argument(sub)
    sub = action("fetch", "Fetch a bundle and install it for the gateways of a folder.", fetch)
    sub.add_argument("name", metavar="NAME", help="its name; several with commas between them")
    sub.add_argument(
        "--base-url", metavar="URL", required=True, help="where bundles are: http, https or file"
    )
    _folder_argument(sub)
    _key_argument(sub)
    sub = action("list", "List the bundles that are installed.", list_)
    _folder_argument(sub)


def _folder_argument(parser: ArgumentParser) -> None:
    text = "the middleware_path of the gateway (%(default)s)"
    parser.add_argument("--folder", metavar="DIR", default="middleware", help=text)


def _key_argument(parser: ArgumentParser) -> None:
    text = "an RSA public key (PEM); a bundle that it did not sign is refused"
    parser.add_argument("--public-key", metavar="FILE", help=text)
    text = "as a gateway with compat=tyk does: Tyk's signature, over the files' bytes alone, is enough"
    parser.add_argument("--compat", action="store_true", help=text)


def bundle(args: Namespace, terminal: Terminal) -> int:
    status: int = args.action(args, terminal)
    return status


COMMANDS = (Command("bundle", "Build, verify, fetch and list bundles of plugins.", bundle, _arguments),)
