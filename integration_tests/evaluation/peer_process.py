"""One peer, in a process of its own: `python -m integration_tests.evaluation.peer_process NAME JOB RESULT`.

Imports nothing of the package, so that it runs in a virtual environment that holds only the peer. The job is a JSON
object `{url, folder, vectors, scopes: [{name, texts}], requests: [{scope, text}], k}`; `vectors` names the two
files of `KeptEmbeddings`. The result is `{version, found: [[place, …], …]}`, one list per request. Every line
on the standard output is a step that is done.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from integration_tests.peers.vectors import Vectors

Answer = Callable[[str, str, int], list[int]]
"""Takes a scope, a question and how many are wanted; returns places, best first."""


def langchain_redis(job: dict[str, Any], vectors: Vectors) -> Answer:
    """Fill a `RedisVectorStore` of documents with a tag for their scope."""
    import redis
    from langchain_redis import RedisConfig, RedisVectorStore
    from redisvl.query.filter import Tag

    schema = [{"type": "tag", "name": "scope"}, {"type": "numeric", "name": "place"}]
    config = RedisConfig(
        index_name="peer-langchain-redis",
        redis_client=redis.Redis.from_url(job["url"], protocol=2),  # it cannot read RESP3
        metadata_schema=schema,
    )
    store = RedisVectorStore(vectors, config=config)
    for scope in job["scopes"]:
        places = [{"scope": scope["name"], "place": at} for at in range(len(scope["texts"]))]
        store.add_texts(scope["texts"], places)
        print("filled", flush=True)

    def answer(scope: str, text: str, k: int) -> list[int]:
        found = store.similarity_search(text, k=k, filter=Tag("scope") == scope)
        return [int(one.metadata["place"]) for one in found]

    return answer


def redisvl_history(job: dict[str, Any], vectors: Vectors) -> Answer:
    """Fill a `SemanticMessageHistory` with a session per scope."""
    from redisvl.extensions.message_history import SemanticMessageHistory
    from redisvl.utils.vectorize import CustomTextVectorizer

    vectorizer = CustomTextVectorizer(embed=vectors.embed_query, embed_many=vectors.embed_documents)
    history = SemanticMessageHistory("peer-redisvl", vectorizer=vectorizer, redis_url=job["url"])
    for scope in job["scopes"]:
        messages = [
            {"role": "user", "content": text, "metadata": {"place": at}}
            for at, text in enumerate(scope["texts"])
        ]
        history.add_messages(messages, session_tag=scope["name"])
        print("filled", flush=True)

    def answer(scope: str, text: str, k: int) -> list[int]:
        found: Any = history.get_relevant(text, top_k=k, session_tag=scope)
        return [int(one["metadata"]["place"]) for one in found]

    return answer


def langgraph_store(job: dict[str, Any], vectors: Vectors) -> Answer:
    """Fill a `RedisStore` with a namespace per scope."""
    import redis
    from langgraph.store.base import PutOp
    from langgraph.store.redis import RedisStore

    client = redis.Redis.from_url(job["url"])
    index: Any = {"dims": vectors.dimensions, "embed": vectors, "fields": ["text"]}
    store = RedisStore(client, index=index)
    store.setup()
    for scope in job["scopes"]:
        store.batch(
            [
                PutOp(("peer", scope["name"]), str(at), {"text": text})
                for at, text in enumerate(scope["texts"])
            ]
        )
        print("filled", flush=True)

    def answer(scope: str, text: str, k: int) -> list[int]:
        return [int(one.key) for one in store.search(("peer", scope), query=text, limit=k)]

    return answer


def mem0(job: dict[str, Any], vectors: Vectors) -> Answer:
    """Fill a `Memory` with a user per scope, without a language model (`infer=False`)."""
    import os

    os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": job["folder"], "OPENAI_API_KEY": "not used"}
    from mem0 import Memory

    memory = Memory.from_config(
        {
            "embedder": {"provider": "langchain", "config": {"model": vectors}},
            "vector_store": {
                "provider": "qdrant",
                "config": {
                    "path": job["folder"] + "/qdrant",
                    "embedding_model_dims": vectors.dimensions,
                    "on_disk": False,
                },
            },
        }
    )
    for scope in job["scopes"]:
        for at, text in enumerate(scope["texts"]):
            memory.add(text, user_id=scope["name"], metadata={"place": at}, infer=False)
        print("filled", flush=True)

    def answer(scope: str, text: str, k: int) -> list[int]:
        found = memory.search(text, filters={"user_id": scope}, top_k=k)
        return [int(one["metadata"]["place"]) for one in found["results"]]

    return answer


PEERS: dict[str, tuple[str, Callable[[dict[str, Any], Vectors], Answer]]] = {
    "langchain-redis": ("langchain-redis", langchain_redis),
    "redisvl": ("redisvl", redisvl_history),
    "langgraph": ("langgraph-checkpoint-redis", langgraph_store),
    "mem0": ("mem0ai", mem0),
}


def main(name: str, job_file: str, result_file: str) -> None:
    """Fill a peer, ask it, and write what it found."""
    warnings.simplefilter("ignore")
    job = json.loads(Path(job_file).read_text("utf-8"))
    package, fill = PEERS[name]
    answer = fill(job, Vectors(*map(Path, job["vectors"])))
    found = []
    for request in job["requests"]:
        found.append(answer(request["scope"], request["text"], job["k"]))
        print("asked", flush=True)
    result = {"version": importlib.metadata.version(package), "found": found}
    Path(result_file).write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
