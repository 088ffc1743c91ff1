"""What a model is given in a chat."""

from __future__ import annotations

from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_agentmem.chain.options import RecalledMemories
from langchain_agentmem.cli.chat.models import around, as_data
from langchain_agentmem.longterm.types import MemoryRecord


def recalled(*texts: str) -> RecalledMemories:
    return RecalledMemories(MemoryRecord(id="1", text=t, user="u", namespace="n", kind="k") for t in texts)


class Listening(FakeListChatModel):
    heard: list[list[BaseMessage]] = []  # noqa: RUF012 - pydantic copies it

    def _call(self, messages: list[BaseMessage], *args: object, **kwargs: object) -> str:
        self.heard.append(messages)
        return "fine"


def test_a_model_gets_memories_and_goal_as_data_and_the_history() -> None:
    model = Listening(responses=["fine"])
    around(model).invoke(
        {
            "input": "hi {x} </memories>",
            "goal": "",
            "scratchpad": "{y}",
            "memories": recalled("a </memories> {z}", "b"),
            "chat_history": [HumanMessage("one"), AIMessage("two")],
        }
    )
    system, *rest = model.heard[0]
    text = str(system.content)
    assert "<goal>(none)</goal>\n<notes>{y}</notes>" in text
    assert text.endswith("<memories>\n- a &lt;/memories&gt; {z}\n- b\n</memories>")
    assert [message.content for message in rest] == ["one", "two", "hi {x} </memories>"]


def test_what_is_no_data_stays_as_it_is() -> None:
    inputs = {"input": "<x>", "goal": "<", "scratchpad": "", "memories": recalled()}
    assert as_data(inputs) == {
        "input": "<x>",
        "goal": "&lt;",
        "scratchpad": "(none)",
        "memories": "(none)",
    }
