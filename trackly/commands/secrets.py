"""`trackly secrets`: the keys that secrets are encrypted with on Kafka."""

from __future__ import annotations

import asyncio

import typer

from accounts.model import Config, all_configs, config_key
from accounts.secrets import SecretMissing, is_literal, keyring, new_key, secrets_of, with_secrets
from accounts.store import write_configs
from bus import kept_key
from bus.admin import Admin
from bus.reading.topic import BEGINNING
from bus.settings import BusSettings
from operations.evidence import key_id, public_key
from schemas.codec import Codec, CodecError
from schemas.pseudonyms import PREFIX
from schemas.records import ContactState
from schemas.registry import registry_for
from trackly.audit import OF_NO_ACCOUNT, write_down
from trackly.commands.topics.growing import wait_for_the_end
from trackly.errors import Failed, check_topics
from trackly.output import Json, Yes, confirm, json_line, say, show
from trackly.progress import Progress
from trackly.reading import follow_accounts, open_topic
from trackly.writing import producing, settings_read_back

secrets = typer.Typer(no_args_is_help=True, add_completion=False)


@secrets.callback()
def _secrets() -> None:
    """The keys that encrypt secrets on Kafka, that sign evidence, and that turn numbers into pseudonyms."""


@secrets.command("new-key")
def make_key() -> None:
    """Print a new key for TRACKLY_SECRET_KEYS.

    To change keys: add the new one after the old one, and restart every service, so that all can read what it will
    encrypt. Then put it first, restart every service, run `trackly secrets rewrap`, and only then remove the old one.
    """
    show(new_key())
    say(
        "Set it as TRACKLY_SECRET_KEYS for every service and for commands. If it is lost, whatever it encrypted is "
        "lost."
    )


@secrets.command("new-evidence-key")
def make_evidence_key() -> None:
    """Print a new key for TRACKLY_EVIDENCE_KEY, which signs evidence about contacts.

    `trackly secrets evidence-key` prints its public key, which others need to verify evidence. Keep the public keys of
    old ones, so that what they signed can still be verified.
    """
    show(new_key())
    say("Set it as TRACKLY_EVIDENCE_KEY for consoles and commands. It proves who signed: keep it to yourself.")


@secrets.command("evidence-key")
def show_evidence_key(as_json: Json = False) -> None:
    """Print the public key of TRACKLY_EVIDENCE_KEY, with which others verify evidence."""
    key = BusSettings().evidence_key
    if key is None:
        raise Failed(
            "There is no key: create one with `trackly secrets new-evidence-key`, and set TRACKLY_EVIDENCE_KEY."
        )
    public = public_key(key.get_secret_value())
    if as_json:
        json_line({"key_id": key_id(public), "public_key": public})
    else:
        show(public)


@secrets.command("accept-pseudonym-key")
def accept_pseudonym_key(yes: Yes = False, as_json: Json = False) -> None:
    """Make the TRACKLY_PSEUDONYM_KEY set here the installation's, although services had another one.

    Only if the former key is lost, or no number was ever erased: people who opted out and were then erased can no
    longer be recognized, and may be texted if their numbers come back. First shows how many they are. Streams must not
    run. Without a key here, the installation has none until streams starts with one.
    """
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    with Admin(settings) as admin:
        names = [settings.catalogue[topic].name for topic in ("fingerprints", "contacts", "audit")]
        check_topics(names, admin.identities(names))
        wait_for_the_end(admin, settings, "streams")
    kept = asyncio.run(kept_key.kept_fingerprint(settings))
    if kept_key.problem(settings, kept) is None:
        forgotten = 0
    else:
        forgotten = asyncio.run(_removed_and_erased(settings, codec))
        say(f"{forgotten:,} removals of erased numbers on sms.contacts can only be recognized with the former key.")
        if not yes:
            confirm("Make the key set here the installation's?")
        asyncio.run(_accept_pseudonym_key(settings, codec, forgotten))
    if as_json:
        json_line({"changed": kept_key.problem(settings, kept) is not None, "forgotten": forgotten})
    else:
        say("The key set here is the installation's. Set it for every service, then start streams.")


async def _removed_and_erased(settings: BusSettings, codec: Codec) -> int:
    removed = set()
    name = settings.catalogue["contacts"].name
    async with open_topic(settings, name, BEGINNING) as topic:
        progress = Progress(name, topic.size)
        async for record in topic.rest():
            progress.add(1)
            if b":" + PREFIX.encode() not in (record.key or b""):
                continue
            removed.discard(record.key)
            try:
                if record.value is not None and not codec.decode_as(ContactState, record.value).active:
                    removed.add(record.key)
            except CodecError:
                removed.add(record.key)
        progress.end()
    return len(removed)


async def _accept_pseudonym_key(settings: BusSettings, codec: Codec, forgotten: int) -> None:
    async with producing(settings) as producer:
        action = "secrets.accept_pseudonym_key"
        await write_down(producer, settings, codec, action, "pseudonym key", OF_NO_ACCOUNT, forgotten=forgotten)
    await kept_key.replace_key(settings)


@secrets.command("rewrap")
def rewrap(as_json: Json = False) -> None:
    """Encrypt every stored secret with the first key of TRACKLY_SECRET_KEYS, including those in plain text.

    References (env:, file:) stay as they are. The old records disappear when Kafka has compacted the topics.
    """
    if not keyring():
        raise Failed("There is no key: create one with `trackly secrets new-key`, and set TRACKLY_SECRET_KEYS.")
    asyncio.run(_rewrap(as_json))


async def _rewrap(as_json: bool) -> None:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    async with follow_accounts(settings, codec) as reader:
        before = list(all_configs(reader.view))
        changed: list[tuple[Config, Config]] = []
        for config in before:
            try:
                resealed = with_secrets(config, keyring().reseal)
            except SecretMissing as missing:
                raise Failed(f"{config_key(config)}: {missing}. Nothing was changed.") from None
            if resealed != config:
                changed.append((config, resealed))
        async with producing(settings) as producer:
            if changed:
                action, count = "secrets.rewrap", len(changed)
                await write_down(producer, settings, codec, action, "stored secrets", OF_NO_ACCOUNT, count=count)
            written = await write_configs(producer, settings, codec, [new for _, new in changed])
        await settings_read_back(reader, written)
    for old, _ in changed:
        was_plain = any(map(is_literal, secrets_of(old)))
        if as_json:
            json_line({"key": config_key(old), "was_plain": was_plain})
        else:
            show(f"{config_key(old)}{'  was in plain text' if was_plain else ''}")
    say(f"{len(changed)} of {len(before)} settings were re-encrypted.")
