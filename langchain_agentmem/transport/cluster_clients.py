"""Makes drivers with the settings of redis-py's cluster clients, which are neither used nor changed."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio

from langchain_agentmem.transport.cluster_driver import AsyncClusterDriver, ClusterDriver


def settings_of(client: Any) -> dict[str, Any]:
    """Return what the connections of a redis-py client are made with."""
    if isinstance(client, redis.RedisCluster):
        settings: dict[str, Any] = client.nodes_manager.connection_kwargs
    elif isinstance(client, redis.asyncio.RedisCluster):
        settings = client.connection_kwargs
    else:
        settings = client.connection_pool.connection_kwargs
    return settings


def driver_like(client: redis.RedisCluster) -> ClusterDriver:
    """Return a driver of the client's cluster, with connections like the client's."""
    nodes: Any = client.nodes_manager
    # What the client itself does with each connection is for reading from replicas.
    own: Any = client
    settings = settings_of(client) | {"redis_connect_func": getattr(own, "user_on_connect_func", None)}

    def connect(host: str, port: int) -> redis.Redis:
        made: redis.Redis = nodes.create_redis_node(host, port, **settings)
        return made

    return ClusterDriver(_seeds(client), connect, getattr(nodes, "address_remap", None))


def async_driver_like(client: redis.asyncio.RedisCluster) -> AsyncClusterDriver:
    """Async version of `driver_like`."""
    left_out = ("response_callbacks", "redis_connect_func")
    settings = {name: value for name, value in settings_of(client).items() if name not in left_out}

    def connect(host: str, port: int) -> redis.asyncio.Redis:
        pool = redis.asyncio.ConnectionPool(**settings | {"host": host, "port": port})
        return redis.asyncio.Redis(connection_pool=pool)

    return AsyncClusterDriver(_seeds(client), connect, getattr(client.nodes_manager, "address_remap", None))


def _seeds(client: Any) -> list[str]:
    """Return the nodes that a client knows."""
    nodes = client.nodes_manager
    return list(dict.fromkeys((*nodes.nodes_cache, *nodes.startup_nodes)))
