"""The command `trackly`: its table of contents, and error messages for people."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from trackly.errors import sentence
from trackly.importing import importing
from trackly.output import say


class Line(NamedTuple):
    """A line of the contents: panel, command, summary.

    `trackly.commands` has a module with the command's name, or a folder with a module `command`, and in it a function
    or Typer app of that name. It is imported on use, so that `trackly --help` is fast.
    """

    panel: str
    command: str
    help: str


CONTENTS = (
    Line("Run", "up", "Run everything on this machine: broker and services."),
    Line("Run", "demo", "See it work: callbacks in, webhooks out, a ledger at the end."),
    Line("Run", "ingest", "Receive provider callbacks."),
    Line("Run", "streams", "Turn callbacks into events."),
    Line("Run", "sinks", "Deliver webhooks."),
    Line("Run", "console", "Serve the console and the API."),
    Line("Run", "read-model", "Write the console's database."),
    Line("Run", "mirror", "Copy the events without phone numbers."),
    Line("Run", "registry", "Serve the schemas over HTTP, for readers of the topics."),
    Line("Run", "broker", "Run an Apache Kafka for development."),
    Line("Look", "tap", "Print the records of a topic as JSON lines."),
    Line("Look", "compare", "Compare today's rules with past results."),
    Line("Look", "contact", "Who may be texted, and why not; remove and restore."),
    Line("Look", "evidence", "Export and verify signed evidence; how long removals took."),
    Line("Look", "opt-out", "Classify a reply: opt-out, opt-in, or neither."),
    Line("Look", "rejected", "Records that could not be processed: list, show, retry."),
    Line("Look", "dead", "Webhooks whose retries ran out: list, show, replay."),
    Line("Look", "providers", "Provider URLs, and whether callbacks come through."),
    Line("Look", "endpoints", "Webhook endpoints: list, test, pause, resume, rotate secrets."),
    Line("Look", "alerts", "Alerts to accounts: list, mute, unmute, test."),
    Line("Look", "export", "Print accounts, lists, and endpoints as a file."),
    Line("Look", "settings", "Print every setting: value, default, and meaning."),
    Line("Look", "doctor", "Find problems in this deployment, and how to fix them."),
    Line("Change", "brake", "Removals that a list's brake holds: list, confirm, release."),
    Line("Change", "losses", "Records that Kafka deleted unread: list, settle."),
    Line("Change", "topics", "Create, list, and describe the topics."),
    Line("Change", "tables", "Restore removed contacts after a topic was lost."),
    Line("Change", "schemas", "List the schemas, or register them in your registry."),
    Line("Change", "erase", "Erase a number, and show what Kafka keeps of it until when."),
    Line("Change", "users", "Users of the console: list, add, link, grant."),
    Line("Change", "keys", "API keys: create, list, revoke."),
    Line("Change", "replay", "Send webhooks again, by time range, outcome, or ID."),
    Line("Change", "secrets", "Keys that encrypt secrets and sign evidence."),
    Line("Change", "backup", "Write settings, suppressions, and keys to one encrypted file."),
    Line("Change", "restore", "Restore a backup into new topics."),
    Line("Change", "apply", "Apply a file of accounts, lists, and endpoints."),
)

ALIASES = {"contacts": "contact"}
"""Alternative command names: one contact is shown, many contacts are exported."""


class Contents(TyperGroup):
    """The root command. Lists its commands without importing them; turns expected errors into sentences."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {
            line.command: TyperCommand(line.command, help=line.help, rich_help_panel=line.panel) for line in CONTENTS
        }

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the line with this name or alias, or None."""
        return super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import and return the requested command."""
        typed, command, rest = super().resolve_command(ctx, args)
        name = ALIASES.get(typed or "", typed)
        return name, _load(name) if name else command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; report an error in a sentence, with exit code 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader has closed the pipe. Otherwise Python would complain when flushing at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            say("Interrupted.")
            raise typer.Exit(1) from None
        except Exception as error:
            text = sentence(error)
            if text is None:
                raise
            say(text)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="trackly",
    cls=Contents,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    try:
        app(prog_name="trackly")
    finally:
        # Only for services; other commands have not even imported it.
        if (telemetry := sys.modules.get("bus.telemetry.current")) is not None:
            telemetry.stop()


def _show_version(wanted: bool) -> None:
    if wanted:
        from bus.version import version

        print(f"trackly {version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """SMS provider callbacks in, one typed event stream on Kafka, signed webhooks out."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    # Whatever the Kafka clients log here is also raised.
    handler.addFilter(lambda record: not record.name.startswith(("aiokafka", "kafka")))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _load(name: str) -> Any:
    attribute = name.replace("-", "_")
    module = f"trackly.commands.{attribute}"
    spec = find_spec(module)
    if spec is not None and spec.submodule_search_locations is not None:
        module += ".command"
    with importing():
        found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        command = get_command(found)
    else:
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        command = get_command(single)
    command.name = name
    return command
