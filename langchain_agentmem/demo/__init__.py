"""A page that shows the three tiers while they are used. Needs the extra `demo`."""
