"""The languages that a server stems; the index and its queries name the same one."""

from __future__ import annotations

from langchain_agentmem.core.operations import Argument

STEMMED = frozenset(
    """arabic armenian basque catalan danish dutch english finnish french german greek hindi hungarian
    indonesian irish italian lithuanian nepali norwegian portuguese romanian russian serbian spanish swedish
    tamil turkish yiddish""".split()
)


def language_arguments(language: str) -> tuple[Argument, ...]:
    """Return what names a language to the server; nothing for one that it does not stem."""
    return ("LANGUAGE", language) if language in STEMMED else ()
