"""Reference files in YAML."""

from __future__ import annotations

from typing import Any

import yaml

# libyaml's, where PyYAML comes with it, writes the same in a third of the time.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def yaml_text(document: dict[str, Any]) -> str:
    """Return a file with this document, which says how to change it."""
    text: str = yaml.dump(document, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=110)
    return "# Written by `trackly topics docs`; change schemas/ instead.\n" + text
