"""The sample memories of a new demo, which its first questions recall.

Distances are measured with all-MiniLM-L6-v2: "Which theme should my editor use?" is 0.36 from the
first one (and 0.87 from "My favorite color is teal."), "I like the dark theme in my editor." 0.13, "My
favorite color is teal." 0.80; and no sample is within 0.70 of another.
"""

from __future__ import annotations

USER = "alice"
NAMESPACE = "default"

SAMPLES: dict[str, tuple[str, ...]] = {
    "semantic": (
        "I use a dark theme in my editor.",
        "I write Python at work, and Rust for fun.",
        "Our services run on Kubernetes in Frankfurt, and we deploy them on Tuesdays.",
        "My time zone is Lisbon, and I take no meetings before ten.",
        "I am allergic to peanuts.",
    ),
    "episodic": (
        "Yesterday I moved the staging Redis from 7.4 to 8.2.",
        "On Monday the nightly import failed because the disk was full.",
        "Last week Noor and I rewrote the retry logic of the payment client.",
    ),
}
