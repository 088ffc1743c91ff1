from __future__ import annotations

from typing import Any

import pytest

from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events.config import EventLogConfig
from langchain_agentmem.working.config import WorkingMemoryConfig


@pytest.mark.parametrize("wrong", [-1, 4097, 1.5, True, "16"])
def test_what_is_no_number_of_partitions_is_refused(wrong: Any) -> None:
    for config in (WorkingMemoryConfig, EventLogConfig):
        with pytest.raises(InvalidInputError, match="partitions must be"):
            config(partitions=wrong)
        assert config(partitions=4096).keys.partitions == 4096
