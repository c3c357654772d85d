"""Detects opt-outs and opt-ins in replies, layer by layer. The words are data: `words.toml`. See docs/opt-outs.md."""

from __future__ import annotations

from streams.optout.words import LAYERS, NEVER, OptOut, OptOutWords, default_words, names_of, words_of

__all__ = ["LAYERS", "NEVER", "OptOut", "OptOutWords", "default_words", "names_of", "words_of"]
