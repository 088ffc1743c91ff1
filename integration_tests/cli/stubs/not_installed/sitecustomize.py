"""No metadata of the package are to be found, as in a checkout that nobody has installed."""

import importlib.metadata

_find = importlib.metadata.MetadataPathFinder.find_distributions


def _find_others(context=importlib.metadata.DistributionFinder.Context()):  # noqa: B008
    for found in _find(context):
        if found.metadata["Name"].replace("_", "-") != "langchain-agentmem":
            yield found


importlib.metadata.MetadataPathFinder.find_distributions = staticmethod(_find_others)
