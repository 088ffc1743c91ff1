"""`agentmem consolidate`: the model is asked once for the telling and the doing."""

from __future__ import annotations

import pytest

from langchain_agentmem.cli import consolidate
from langchain_agentmem.cli.console import Screen
from tests.extraction.scripted import TextModel, memory


def test_a_group_that_was_judged_for_the_telling_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = TextModel('{"same": [["m1", "m2"]]}')
    monkeypatch.setattr("langchain_agentmem.cli.chat.models.chat_model", lambda name: model)
    judge = consolidate._prepared("stub:model", Screen())
    group = [memory("a", "I live in Oslo."), memory("b", "My home is Oslo.")]
    assert judge(group) == judge(list(group))
    assert model.asked == 1
    judge([group[0], memory("b", "I moved.")])
    assert model.asked == 2
