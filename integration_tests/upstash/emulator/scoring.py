"""SCOREFUNC: scores mixed with numbers of the documents, in 32-bit floats as the engine has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from integration_tests.upstash.emulator.resp import ReplyError
from integration_tests.upstash.emulator.schema import NUMERIC, Arguments, Definition

Modify = Callable[[np.float32], Any]

_MODIFIERS: dict[str, Modify] = {
    "NONE": lambda x: x,
    "LOG": np.log10,
    "LOG1P": lambda x: np.log10(x + np.float32(1)),
    "LOG2P": lambda x: np.log10(x + np.float32(2)),
    "LN": np.log,
    "LN1P": np.log1p,
    "LN2P": lambda x: np.log(x + np.float32(2)),
    "SQUARE": lambda x: x * x,
    "SQRT": np.sqrt,
    "RECIPROCAL": lambda x: np.float32(1) / x,
}


@dataclass
class FieldValue:
    """`FIELDVALUE f [MODIFIER m] [FACTOR x] [MISSING x]`: modifier(factor x value)."""

    name: str
    modifier: str = "NONE"
    factor: float = 1.0
    missing: float = 0.0

    def of(self, values: Mapping[str, Any]) -> np.float32:
        value = values.get(self.name, self.missing)
        with np.errstate(all="ignore"):
            return np.float32(_MODIFIERS[self.modifier](np.float32(value) * np.float32(self.factor)))


@dataclass
class ScoreFunction:
    score_mode: str = "MULTIPLY"
    combine_mode: str = "MULTIPLY"
    fields: list[FieldValue] = field(default_factory=list)

    def score(self, score: float, values: Mapping[str, Any]) -> np.float32:
        parts = [part.of(values) for part in self.fields]
        combined = parts[0]
        with np.errstate(all="ignore"):
            for part in parts[1:]:
                combined = combined + part if self.combine_mode == "SUM" else combined * part
            if self.score_mode == "REPLACE":
                result = combined
            else:
                base = np.float32(score)
                result = base + combined if self.score_mode == "SUM" else base * combined
        # A score that is no number (the logarithm of a negative one) cannot be sorted by.
        return np.float32(0) if math.isnan(result) else np.float32(result)


def parse_score_function(arguments: Arguments, definition: Definition) -> ScoreFunction:
    """What follows SCOREFUNC; SCOREMODE may also stand behind its field, and the last one counts."""
    function = ScoreFunction()
    while word := arguments.take("SCOREMODE", "COMBINEMODE", "FIELDVALUE"):
        if word == "SCOREMODE":
            function.score_mode = _one_of(arguments, "MULTIPLY", "SUM", "REPLACE")
        elif word == "COMBINEMODE":
            function.combine_mode = _one_of(arguments, "MULTIPLY", "SUM")
        else:
            function.fields.append(_field_value(arguments, definition))
    if not function.fields:
        raise ReplyError("ERR SCOREFUNC needs at least one FIELDVALUE")
    return function


def _field_value(arguments: Arguments, definition: Definition) -> FieldValue:
    field = definition.field(arguments.next())
    if not field.fast or field.type not in NUMERIC:
        raise ReplyError(f"ERR Field '{field.name}' must be a numeric FAST field to be used in SCOREFUNC")
    value = FieldValue(field.name)
    while word := arguments.take("MODIFIER", "FACTOR", "MISSING"):
        if word == "MODIFIER":
            value.modifier = _one_of(arguments, *_MODIFIERS)
        elif word == "FACTOR":
            value.factor = arguments.number(float)
        else:
            value.missing = arguments.number(float)
    return value


def _one_of(arguments: Arguments, *words: str) -> str:
    word = arguments.take(*words)
    if word is None:
        raise ReplyError(f"ERR syntax error near '{arguments.next()}': expected one of {', '.join(words)}")
    return word
