"""How well a model extracts what is worth remembering: 60 short dialogues with the facts that are expected."""
