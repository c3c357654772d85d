"""A page for each topic, and an index, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from schemas.cloudevents import Headers, event_headers
from schemas.pii import kinds
from schemas.samples import plain_example, sample
from schemas.topics import PUBLIC_COMPRESSION, Catalogue, Topic
from trackly.commands.topics.docs.words import FOLDER, WIRE_FORMAT, duplicates, example_of, fields_of, order, pii_of
from trackly.commands.topics.retention import retention

_NOTE = "<!-- Written by `trackly topics docs`; change schemas/ instead. -->\n"


def pages_of(catalogue: Catalogue) -> Mapping[str, Topic]:
    """Return the topics of each page, by the page's name, which is the topic's; the delay topics share one."""
    found = {}
    for topic in catalogue.values():
        if topic.delay_ms is None:
            found[topic.name] = topic
        elif topic is catalogue.delay_tiers[0]:
            found[topic.name.rpartition(".")[0]] = topic
    return found


def index(topics: Mapping[str, Topic]) -> str:
    """Return the list of topics; public topics come first."""
    lines = [_NOTE, "# Topics", ""]
    lines += [
        f"{WIRE_FORMAT} Names start with `TRACKLY_TOPIC_PREFIX` if that is set.",
        "For tools, [asyncapi.yaml](../asyncapi.yaml) and"
        " [contract.odcs.yaml](../contract.odcs.yaml) contain the same.",
        "[Recipes](../recipes/README.md) show how to read the topics from other programs.",
    ]
    for public, title in ((True, "Public topics"), (False, "Internal topics")):
        lines += ["", f"## {title}", "", "| topic | record | kept | purpose |", "| --- | --- | --- | --- |"]
        lines += [
            f"| [{name}]({name}.md) | {topic.record or ''} | {retention(topic)} | {_purpose(topic)} |"
            for name, topic in topics.items()
            if topic.public == public
        ]
    lines += ["", "Internal topics may change with any release: read them to look, but do not build on them.", ""]
    return "\n".join(lines)


def page(name: str, topic: Topic, catalogue: Catalogue) -> str:
    """Return the page of one topic."""
    lines = [_NOTE, f"# {name}", "", _purpose(topic), ""]
    lines += ["| | |", "| --- | --- |", *(f"| {left} | {right} |" for left, right in _facts(topic, catalogue))]
    lines += ["", "## Order and duplicates", "", order(topic), "", duplicates(topic)]
    if topic.record is not None:
        lines += ["", *_fields(topic), "", *_example(topic), "", *_history(topic.record)]
    return "\n".join(lines) + "\n"


def _facts(topic: Topic, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    yield "for", "everyone: it changes only in compatible ways" if topic.public else "trackly itself"
    if topic.record is not None:
        yield "record", f"{topic.record} ([schema](../../schemas/{FOLDER.versions[topic.record][-1]['file']}))"
        yield "compatibility", catalogue.compatibility(topic.record)
        yield "subjects", f"`{topic.subject}`, `{FOLDER.full_name(topic.record)}`"
    yield "key", topic.key
    yield "partitions", f"{topic.partitions}" + (" (`TRACKLY_PARTITIONS`)" if topic.shares_partitions else "")
    yield "kept", retention(topic)
    yield "largest record", f"{topic.max_message_bytes:,} bytes"
    if topic.public:
        yield "compressed by the broker", f"{PUBLIC_COMPRESSION}, which every client reads out of the box"
    yield "written by", "only " + ", ".join(topic.written_by)
    yield "read by", ", ".join(topic.read_by) + (", anyone" if topic.public else "")


def _fields(topic: Topic) -> Iterator[str]:
    yield "## Fields"
    yield ""
    yield "| field | type | personal | meaning |"
    yield "| --- | --- | --- | --- |"
    found: list[str] = []
    for field in fields_of(str(topic.record)):
        pii = pii_of(topic, field.pii)
        kind = f"{field.type}, or null" if field.nullable else field.type
        yield f"| `{field.name}` | {kind} | {pii or ''} | {field.doc.replace('|', chr(92) + '|')} |"
        if pii is not None and pii in kinds() and pii not in found:
            found.append(pii)
    yield ""
    yield "Times are milliseconds since 1970, UTC (`timestamp-millis`)."
    if found:
        yield "Personal: " + "; ".join(f"*{kind}*, {kinds()[kind]}" for kind in found) + "."


def _example(topic: Topic) -> Iterator[str]:
    record = str(topic.record)
    headers = {name: value.decode() for name, value in _headers(record)}
    yield "## Example"
    yield ""
    yield (
        "Headers ([CloudEvents](https://cloudevents.io), binary mode; [some records have "
        "more](../../schemas/README.md#read-them)), and the value as `trackly tap` prints it:"
    )
    for text in (headers, example_of(topic)):
        yield ""
        yield "```json"
        yield json.dumps(text, indent=2, ensure_ascii=False)
        yield "```"


def _headers(record: str) -> Headers:
    time = next((field.name for field in fields_of(record) if field.type == "time" and not field.nullable), None)
    plain = plain_example(record)
    return event_headers(sample(record), plain.get("event_id", "evt_1"), plain[time] if time else 1_795_169_733_004)


def _history(record: str) -> Iterator[str]:
    yield "## Versions"
    yield ""
    yield "| version | schema id | fields added |"
    yield "| --- | --- | --- |"
    before: set[str] = set()
    for version in FOLDER.versions[record]:
        names = [field["name"] for field in FOLDER.schema(version["id"])["fields"]]
        added = ", ".join(f"`{name}`" for name in names if name not in before) if before else ""
        yield f"| {version['version']} | {version['id']} | {added} |"
        before |= set(names)


def _purpose(topic: Topic) -> str:
    if topic.delay_ms is None:
        return topic.purpose
    return f"{topic.purpose} One topic for each delay of `TRACKLY_RETRY_SCHEDULE`, such as `{topic.name}`."
