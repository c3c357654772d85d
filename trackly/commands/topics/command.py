"""`trackly topics`: the catalogue, and its topics on the broker."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bus.admin import Admin
from bus.settings import BusSettings
from schemas.topics import Topic
from trackly.commands.topics import acls
from trackly.commands.topics.retention import retention
from trackly.errors import Failed
from trackly.output import Json, Yes, confirm, json_line, say, show, table
from trackly.reading import find_topic

topics = typer.Typer(no_args_is_help=True, add_completion=False)


@topics.callback()
def _topics() -> None:
    """Create, list, and describe the topics."""


@topics.command("apply")
def apply_topics(as_json: Json = False) -> None:
    """Create missing topics and show where existing ones differ. Nothing is changed or deleted."""
    settings = BusSettings()
    with Admin(settings) as admin:
        changes = admin.apply(settings.catalogue)
    if as_json:
        for change in changes:
            json_line({"topic": change.topic, "action": change.action, "detail": change.detail})
        return
    shown = [(c.topic, c.action, c.detail) for c in changes if c.action != "unchanged"]
    if shown:
        table(("topic", "action", "detail"), shown)
    counts = {action: sum(c.action == action for c in changes) for action in ("created", "unchanged", "differs")}
    show(", ".join(f"{count} {action}" for action, count in counts.items()))
    if counts["differs"]:
        say("Differences are left as they are; change them with Kafka's own tools if they are not intended.")


@topics.command("grow")
def grow(
    prefix: Annotated[str, typer.Option(help="Prefix of the new topics, such as v2.")],
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of each topic that is keyed by recipient.")],
    settings_only: Annotated[
        bool,
        typer.Option("--settings", help="Copy only accounts, lists, endpoints, and keys, for ingest to begin with."),
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Move to topics under another prefix with more partitions, because Kafka cannot move existing records.

    It copies settings, contact states, tables, waiting webhooks, dead letters, and the audit log. Callbacks, receipts,
    and events stay under the old prefix until their retention ends, except those that are not processed yet.

    First, while everything runs, run it with --settings, which also creates the topics, and start ingest with the new
    prefix and partitions: without settings, it would refuse every callback. Then stop everything else, and run it
    again. Afterward, start everything with TRACKLY_TOPIC_PREFIX and TRACKLY_PARTITIONS as given here. If it is
    aborted, run it again: it continues.
    """
    from trackly.commands.topics.growing import check, check_unused, copy, has_begun, note_beginning, note_end

    old = BusSettings()
    new = BusSettings(topic_prefix=prefix, partitions=partitions)
    if new.topic_prefix == old.topic_prefix:
        raise Failed(f"The new topics need a different prefix from the old ones ({old.topic_prefix!r}).")
    with Admin(old) as admin:
        (check_unused if settings_only else check)(admin, old, new)
        if not yes:
            what = "settings" if settings_only else "state"
            confirm(f"Copy the {what} under {old.topic_prefix!r} to {partitions} partitions under {prefix!r}?")
        again = has_begun(admin, old, new)
    with Admin(new) as admin:
        admin.apply(new.catalogue)
        note_beginning(admin, old, new)
        written = asyncio.run(copy(old, new, again=again, settings_only=settings_only))
        if not settings_only:
            note_end(admin, new)
    if as_json:
        json_line({"prefix": prefix, "partitions": partitions, "written": dict(written)})
        return
    table(("topic", "records"), ((name, f"{count:,}") for name, count in written.items() if count))
    todo = "ingest" if settings_only else "everything"
    show(f"Now start {todo} with TRACKLY_TOPIC_PREFIX={prefix} and TRACKLY_PARTITIONS={partitions}.")


@topics.command("adopt")
def adopt(yes: Yes = False, as_json: Json = False) -> None:
    """Continue on another cluster, whose topics a mirror has filled, where streams and sinks stopped on the first one.

    Each stored offset names the topic that it belongs to, and the topics here are different ones: without this, streams
    and sinks would read everything again. Run it once, after the mirror has stopped and before they start. See
    docs/operating/backup.md.
    """
    settings = BusSettings()
    with Admin(settings) as admin:
        groups = [settings.group(service) for service in ("streams", "sinks")]
        for group in groups:
            if admin.has_members(group):
                raise Failed(f"Processes are in the consumer group {group}: stop them first.")
        if not yes:
            confirm(f"Take the offsets of {' and '.join(groups)} as offsets of the topics here?")
        adopted = {group: admin.adopt_offsets(group) for group in groups}
    if as_json:
        json_line(adopted)
        return
    table(("group", "partitions"), ((group, str(count)) for group, count in adopted.items()))


@topics.command("list")
def list_topics(as_json: Json = False) -> None:
    """List the topics of the catalog, whether or not they exist. Needs no broker."""
    topics = BusSettings().catalogue.values()
    if as_json:
        for topic in topics:
            json_line(_summary(topic))
        return
    table(
        ("name", "partitions", "retention", "record", "purpose"),
        ((t.name, str(t.partitions), retention(t), t.record or "", t.purpose) for t in topics),
    )


@topics.command("describe")
def describe_topic(
    name: Annotated[str, typer.Argument(help="Name of the topic, with or without the prefix.")],
    as_json: Json = False,
) -> None:
    """Show one topic: its purpose, its settings, and what each partition holds."""
    settings = BusSettings()
    with Admin(settings) as admin:
        found = find_topic(settings, name, admin.list_topics())
        there = admin.describe([found])[found]
        begins, ends = admin.begin_offsets(found), admin.end_offsets(found)
    topic = settings.catalogue.named(found)
    if topic is None:
        raise Failed(f"{found} is not a trackly topic; Kafka's own tools describe it.")
    partitions = [{"partition": number, "begin": begins[number], "end": ends[number]} for number in sorted(ends)]
    wanted = {**topic.settings, "partitions": str(topic.partitions)}
    actual = {**there.settings, "partitions": str(there.partitions)}
    if as_json:
        json_line(
            {
                **_summary(topic),
                "key": topic.key,
                "public": topic.public,
                "written_by": topic.written_by,
                "read_by": topic.read_by,
                "replication": there.replication,
                "settings": {name: actual.get(name) for name in wanted},
                "offsets": partitions,
            }
        )
        return
    show(f"{topic.name}: {topic.purpose}")
    show(f"record {topic.record or 'none yet'}, key {topic.key}, kept {retention(topic)}")
    show(f"written by {', '.join(topic.written_by)}, read by {', '.join(topic.read_by)}")
    rows = [(name, str(actual.get(name)), wanted[name]) for name in wanted]
    table(("setting", "on the broker", "in the catalogue"), rows)
    table(("partition", "begin", "end"), ([str(value) for value in each.values()] for each in partitions))


@topics.command("acls")
def show_acls(
    form: Annotated[
        Literal["kafka", "strimzi"], typer.Option("--format", help="kafka-acls.sh, or KafkaUsers.")
    ] = "kafka",
    user_prefix: Annotated[str, typer.Option(help="Prefix of the users' names.")] = "trackly-",
    cluster: Annotated[str, typer.Option(help="The name of Strimzi's Kafka resource.")] = "kafka",
    as_json: Json = False,
) -> None:
    """Print the permissions on topics and groups that each service needs. Needs no broker."""
    found = acls.rules(BusSettings(), user_prefix)
    if as_json:
        for rule in found:
            json_line(asdict(rule))
        return
    print(acls.for_kafka(found) if form == "kafka" else acls.for_strimzi(found, cluster), end="")


@topics.command("docs")
def write_docs(
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", file_okay=False, help="Folder for topics/, webhooks/, and two YAML files."),
    ] = Path("docs"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if something would change.")] = False,
) -> None:
    """Write a page for each topic, an AsyncAPI document, a data contract, and JSON Schemas of the webhooks."""
    from trackly.commands.topics.docs.reference import differences, write

    changed = differences(out) if check else write(out)
    for path in changed:
        show(str(out / path))
    if check and changed:
        raise Failed(f"{len(changed)} files are not up to date: run `trackly topics docs --out {out}`.")
    say("Nothing has changed." if not changed else f"{len(changed)} files were written.")


def _summary(topic: Topic) -> dict[str, Any]:
    return {
        "name": topic.name,
        "partitions": topic.partitions,
        "retention": retention(topic),
        "record": topic.record,
        "purpose": topic.purpose,
    }
