"""The page's API over HTTP, with the real model: what the walk-through shows, and what it refuses."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import redis

from integration_tests.demo.conftest import Demo, StartDemo
from integration_tests.waiting import wait_until
from langchain_agentmem import AgentMemory
from langchain_agentmem.demo.samples import SAMPLES
from langchain_agentmem.embedded.server import EmbeddedRedis

QUESTION = "Which theme should my editor use?"
THEME = "I use a dark theme in my editor."


def say(client: httpx.Client, text: str, user: str = "alice", thread: str = "t1", **more: Any) -> Any:
    answer = client.post("/exchange", json={"user": user, "thread": thread, "text": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def state(client: httpx.Client, **asked: Any) -> Any:
    return client.get("/state", params={"user": "alice", "thread": "t1", **asked}).raise_for_status().json()


def memories(client: httpx.Client, **asked: Any) -> Any:
    answer = client.get("/memories", params={"user": "alice", **asked})
    return answer.raise_for_status().json()["memories"]


def recalled(recall: dict[str, Any]) -> dict[str, float]:
    return {memory["text"]: memory["distance"] for memory in recall["memories"] if memory["recalled"]}


def test_it_begins_with_five_semantic_and_three_episodic_memories(client: httpx.Client) -> None:
    found = memories(client)
    assert {one["text"]: one["kind"] for one in found} == {
        text: kind for kind, texts in SAMPLES.items() for text in texts
    }
    assert sorted(one["kind"] for one in found) == ["episodic"] * 3 + ["semantic"] * 5
    assert all((one["ttl_seconds"] is None) == (one["kind"] == "semantic") for one in found)


def test_a_paraphrased_question_recalls_the_theme_and_shows_what_just_missed(client: httpx.Client) -> None:
    exchange = say(client, QUESTION)
    assert list(recalled(exchange["recall"])) == [THEME]
    assert recalled(exchange["recall"])[THEME] <= 0.45
    found, *missed = exchange["recall"]["memories"]
    assert (exchange["recall"]["mode"], exchange["recall"]["threshold"]) == ("hybrid", None)
    assert set(found["matched_words"]) >= {"theme", "editor"}
    assert found["explanation"]["meaning"] > 0 < found["explanation"]["words"]
    assert found["ts"] > 1_700_000_000
    assert len(missed) == 7
    assert not any(memory["recalled"] for memory in missed)
    distances = [memory["distance"] for memory in missed]
    assert distances == sorted(distances)
    assert QUESTION not in [memory["text"] for memory in exchange["recall"]["memories"]]
    assert exchange["answer"].startswith("You use a dark theme in your editor; you told me ")


def test_something_new_recalls_nothing_and_is_stored(client: httpx.Client) -> None:
    exchange = say(client, "My favorite color is teal.")
    assert recalled(exchange["recall"]) == {}
    assert exchange["fate"]["what"] == "stored"
    assert "My favorite color is teal." in [one["text"] for one in memories(client)]


def test_a_restated_preference_is_merged_and_counted_as_seen_again(client: httpx.Client) -> None:
    fate = say(client, "I use the light theme in my editor.", kind="semantic")["fate"]
    assert (fate["what"], fate["near"]["text"], fate["near"]["distance"] < 0.2) == ("stored", THEME, True)
    drop(client, fate["id"])
    fate = say(client, "I currently use a dark theme in my editor!", kind="semantic")["fate"]
    assert (fate["what"], fate["text"], fate["hit_count"]) == ("merged", THEME, 1)
    found = memories(client)
    assert len(found) == 8
    assert [one["hit_count"] for one in found if one["text"] == THEME] == [1]


def test_another_user_recalls_nothing(client: httpx.Client) -> None:
    exchange = say(client, QUESTION, user="bob", thread="t2")
    assert exchange["recall"]["memories"] == []
    assert memories(client, namespace="other") == []


@pytest.mark.parametrize("mode", ["hybrid", "vector"])
@pytest.mark.parametrize(("threshold", "found"), [(0.30, []), (0.55, [THEME]), (0.70, [THEME])])
def test_the_threshold_limits_what_is_recalled(
    client: httpx.Client, mode: str, threshold: float, found: list[str]
) -> None:
    asked = {"user": "alice", "query": QUESTION, "threshold": threshold, "mode": mode}
    recall = client.post("/recall", json=asked).json()
    assert list(recalled(recall)) == found
    assert len(recall["memories"]) == 8
    assert (recall["mode"], recall["threshold"]) == (mode, threshold)
    said = say(client, QUESTION, threshold=threshold, mode=mode, kind="skip")["recall"]
    assert list(recalled(said)) == found


def test_by_words_there_are_no_distances(client: httpx.Client) -> None:
    asked = {"user": "alice", "query": QUESTION, "threshold": 0.1, "mode": "text"}
    recall = client.post("/recall", json=asked).json()
    assert recalled(recall) == {THEME: None}
    assert recall["threshold"] is None
    assert list(recalled(say(client, QUESTION, mode="text")["recall"])) == [THEME]


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_a_query_can_leave_out_what_its_exchange_became(client: httpx.Client, mode: str) -> None:
    statement = "I use a light theme in my browser."
    exchange = say(client, statement, mode=mode)
    asked = {"user": "alice", "query": statement, "mode": mode}
    own = client.post("/recall", json=asked).json()
    without = client.post("/recall", json={**asked, "before": exchange["fate"]["id"]}).json()
    assert own["memories"][0]["text"] == statement
    assert THEME in recalled(without)
    assert recalled(without) == recalled(exchange["recall"])
    assert without["memories"] == exchange["recall"]["memories"]


@pytest.mark.parametrize("kind", ["episodic", "semantic"])
@pytest.mark.parametrize(
    ("text", "because"), [(QUESTION, "question"), ("Hi!", "greeting"), ("Thanks!", "thanks")]
)
def test_what_states_nothing_is_not_remembered(
    client: httpx.Client, kind: str, text: str, because: str
) -> None:
    assert say(client, text, kind=kind)["fate"] == {"what": "not remembered", "because": because}
    assert len(memories(client)) == 8


def test_a_text_that_is_too_long_is_not_remembered(client: httpx.Client) -> None:
    assert say(client, "I live here. " * 3_000)["fate"]["because"] == "unusable"


def test_what_is_skipped_is_not_remembered(client: httpx.Client) -> None:
    for text in (QUESTION, "My favorite color is teal."):
        assert say(client, text, kind="skip")["fate"] == {"what": "not remembered", "because": "off"}
    assert len(memories(client)) == 8


def test_an_exchange_costs_two_round_trips_however_many_run_at_once(client: httpx.Client) -> None:
    say(client, "hello")  # the first exchange sends the scripts too

    def one(number: int) -> Any:
        return say(client, f"Server number {number} is down.", user=f"user {number}", thread=f"t {number}")

    with ThreadPoolExecutor(8) as pool:
        traces = [exchange["trace"] for exchange in pool.map(one, range(16))]
    assert [len(trace["round_trips"]) for trace in traces] == [2] * 16
    assert all(trace["embedding_ms"] > 0.1 and trace["redis_ms"] > 0.01 for trace in traces)


def test_each_command_of_an_exchange_is_told(client: httpx.Client) -> None:
    say(client, "hello")
    read, write = say(client, "I live in Lisbon.")["trace"]["round_trips"]
    assert {"HMGET", "FT.SEARCH"} <= {command["name"] for command in read["commands"]}
    assert {command["tier"] for command in read["commands"]} == {"working", "long_term"}
    scripts = {command["script"] for command in write["commands"]}
    assert {"write_session", "remember", "record_events"} <= scripts
    assert {command["tier"] for command in write["commands"]} == {"working", "long_term", "events"}
    assert all(command["text"].startswith(command["name"]) for command in read["commands"])
    assert read["ms"] > 0 < write["ms"]


def test_goal_and_scratchpad_can_be_set_alone(client: httpx.Client) -> None:
    asked = {"user": "alice", "thread": "t1"}
    client.post("/working", json={**asked, "goal": "ship it"}).raise_for_status()
    client.post("/working", json={**asked, "scratchpad": "half done"}).raise_for_status()
    session = state(client)["session"]
    assert (session["goal"], session["scratchpad"], session["user"]) == ("ship it", "half done", "alice")
    assert 3590 < session["ttl_seconds"] <= 3600


def test_threads_are_one_users(client: httpx.Client) -> None:
    mine = "a thread of alice"
    say(client, "hello", thread=mine)
    for method, path, body in (
        ("POST", "/exchange", {"text": "hi"}),
        ("POST", "/working", {"goal": "mine"}),
    ):
        answer = client.request(method, path, json={"user": "bob", "thread": mine, **body})
        assert (answer.status_code, "begin one of your own" in answer.json()["error"]) == (403, True)
    for path in ("/state", "/events"):
        assert client.get(path, params={"user": "bob", "thread": mine}).status_code == 403
    assert [one["thread"] for one in client.get("/threads", params={"user": "alice"}).json()["threads"]] == [
        mine
    ]
    assert client.get("/threads", params={"user": "bob"}).json()["threads"] == []


def test_threads_that_nobody_in_particular_began_are_in_everybodys_list(
    own_server: EmbeddedRedis, client: httpx.Client
) -> None:
    mine = "a thread of alice"
    say(client, "hello", thread=mine)
    with AgentMemory(own_server.url) as memory:
        memory.history("nobodys").add_user_message("hello")
        try:
            for user, threads in (("alice", ["nobodys", mine]), ("bob", ["nobodys"])):
                listed = client.get("/threads", params={"user": user}).json()["threads"]
                assert [one["thread"] for one in listed] == threads
        finally:
            memory.forget_user("default")


def drop(client: httpx.Client, id: str, user: str = "alice") -> Any:
    return client.post("/drop_memory", json={"user": user, "thread": f"of {user}", "id": id}).json()


def test_only_the_users_own_memory_can_be_dropped(client: httpx.Client) -> None:
    id = memories(client)[0]["id"]
    assert drop(client, id, "bob") == {"dropped": False, "undo": None}
    assert drop(client, id)["dropped"]
    assert len(memories(client)) == 7


def test_a_deletion_can_be_undone_once_by_its_user(client: httpx.Client) -> None:
    say(client, "I currently use a dark theme in my editor!", kind="semantic")
    (before,) = (one for one in memories(client) if one["text"] == THEME)
    undo = drop(client, before["id"])["undo"]
    assert client.post("/undo", json={"user": "bob", "undo": undo}).status_code == 400
    assert client.post("/undo", json={"user": "alice", "undo": undo}).json()["memories"] == 1
    (after,) = (one for one in memories(client) if one["text"] == THEME)
    assert after == before
    assert client.post("/undo", json={"user": "alice", "undo": undo}).status_code == 400


def test_a_reset_says_how_much_it_removes_and_removes_only_that_users(client: httpx.Client) -> None:
    say(client, "My favorite color is teal.")
    say(client, "Mine is red.", user="bob", thread="t2")
    asked = {"user": "alice", "dry_run": True}
    would = client.post("/reset", json=asked).json()
    assert (would["memories"], would["threads"], would["undo"]) == (9, 1, None)
    assert len(memories(client)) == 9
    did = client.post("/reset", json={"user": "alice"}).json()
    assert {name: did[name] for name in ("memories", "threads")} == {"memories": 9, "threads": 1}
    after = state(client)
    assert (after["session"], after["events"], len(memories(client))) == (None, [], 8)
    assert len(memories(client, user="bob")) == 1
    client.post("/reset", json={"user": "bob"}).raise_for_status()
    assert memories(client, user="bob") == []


def test_a_reset_can_be_undone(client: httpx.Client) -> None:
    say(client, "My favorite color is teal.")
    say(client, "I currently use a dark theme in my editor!", kind="semantic")
    before = sorted((one["id"], one["text"], one["hit_count"], one["created_ts"]) for one in memories(client))
    said = [message["content"] for message in state(client)["session"]["turns"]]
    undo = client.post("/reset", json={"user": "alice"}).json()["undo"]
    client.post("/undo", json={"user": "alice", "undo": undo}).raise_for_status()
    after = sorted((one["id"], one["text"], one["hit_count"], one["created_ts"]) for one in memories(client))
    assert after == before
    assert [message["content"] for message in state(client)["session"]["turns"]] == said


def test_a_reset_is_not_undone_in_a_thread_that_is_another_users_by_now(client: httpx.Client) -> None:
    say(client, "My favorite color is teal.")
    undo = client.post("/reset", json={"user": "alice"}).json()["undo"]
    say(client, "Mine is red.", user="bob")
    for _ in range(2):  # it is kept
        answer = client.post("/undo", json={"user": "alice", "undo": undo})
        said = "Restored except for 3 lines of t1, another user's by now."
        assert (answer.status_code, answer.json()["error"]) == (400, said)
    assert "My favorite color is teal." in {one["text"] for one in memories(client)}


def test_an_import_is_undone_only_as_long_as_nothing_was_added(client: httpx.Client) -> None:
    def imported(user: str) -> str:
        headers = {"Content-Type": "application/octet-stream"}
        answer = client.post("/import", params={"user": user}, content=b'"I like tea."', headers=headers)
        began = answer.raise_for_status().text.split("data: ")[1].split("\n")[0]
        return str(json.loads(began)["undo"])

    kept, undone = imported("carl"), imported("dora")
    say(client, "My sister lives in Porto.", user="carl", thread="t3")
    answer = client.post("/undo", json={"user": "carl", "undo": kept})
    assert answer.status_code == 400
    assert "more than what was imported" in answer.json()["error"]
    assert len(memories(client, user="carl")) == 2
    assert client.post("/undo", json={"user": "dora", "undo": undone}).json()["memories"] == 1


def test_a_question_is_answered_with_and_without_memory_and_nothing_is_stored(client: httpx.Client) -> None:
    both = client.post("/answers", json={"user": "alice", "query": QUESTION}).json()
    assert "dark theme" in both["with"]
    assert "dark theme" not in both["without"]
    assert list(recalled(both["recall"])) == [THEME]
    far = {"user": "alice", "query": QUESTION, "threshold": 0.1, "mode": "vector"}
    assert "dark theme" not in client.post("/answers", json=far).json()["with"]
    assert client.get("/threads", params={"user": "alice"}).json()["threads"] == []
    assert len(memories(client)) == 8


def test_a_memory_that_is_replaced_is_no_longer_recalled(client: httpx.Client) -> None:
    fate = say(client, "I use a light theme in my editor.", kind="semantic")["fate"]
    asked = {"user": "alice", "thread": "t1", "id": fate["near"]["id"], "by": fate["id"]}
    for_bob = client.post("/replace", json={**asked, "user": "bob", "thread": "t2"}).json()
    assert for_bob == {"replaced": False, "undo": None}
    assert client.post("/replace", json=asked).json()["replaced"]
    recall = client.post("/recall", json={"user": "alice", "query": QUESTION}).json()
    assert list(recalled(recall)) == ["I use a light theme in my editor."]


def test_the_map_has_every_memory_of_the_scope_and_the_query(client: httpx.Client) -> None:
    points = client.get("/map", params={"user": "alice"}).json()["points"]
    assert {point["id"] for point in points} == {one["id"] for one in memories(client)}
    assert all(0 <= point[axis] <= 1 for point in points for axis in "xy")
    x, y = client.post("/recall", json={"user": "alice", "query": QUESTION}).json()["at"]
    assert 0 <= x <= 1 >= y >= 0
    assert client.get("/map", params={"user": "bob"}).json() == {"points": []}


@contextmanager
def following(
    demo: Demo, thread: str, last_id: str = "", user: str = "alice"
) -> Iterator[list[dict[str, Any]]]:
    """The events of a thread as they come."""
    got: list[dict[str, Any]] = []
    ready, ended = threading.Event(), threading.Event()

    def listen() -> None:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        with (
            httpx.Client(base_url=demo.url, timeout=30) as client,
            client.stream(
                "GET", "/events", params={"user": user, "thread": thread}, headers=headers
            ) as answer,
        ):
            name = ""
            for line in answer.iter_lines():
                ready.set()
                name = line.removeprefix("event: ") if line.startswith("event: ") else name
                if line.startswith("data: ") and name == "event":
                    got.append(json.loads(line.removeprefix("data: ")))
                if ended.is_set():
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        assert ready.wait(10)
        yield got
    finally:
        ended.set()
        httpx.post(demo.url + "/exchange", json={"user": user, "thread": thread, "text": "the end"})
        listener.join()


def test_events_are_followed_and_resumed_without_loss_or_repeats(served: Demo, client: httpx.Client) -> None:
    say(client, "one")
    with following(served, "t1") as first:
        wait_until(lambda: len(first) >= 4)
        say(client, "two")
        wait_until(lambda: len(first) >= 8)
        seen = list(first)
        with following(served, "t1", seen[2]["id"]) as resumed:
            wait_until(lambda: len(resumed) >= 5)
            assert resumed[:5] == seen[3:8]
    stored = [event["id"] for event in state(client)["events"]][::-1]
    assert [event["id"] for event in seen] == stored[: len(seen)]
    details = [event["detail"] for event in seen if event["action"] == "turn_start"]
    assert details == ["one", "two"]


@pytest.mark.parametrize("id", ["x", "1-2-3", f"{2**64}-0"])
def test_an_impossible_event_id_is_refused(client: httpx.Client, id: str) -> None:
    answer = client.get("/events", params={"user": "a", "thread": "t"}, headers={"Last-Event-ID": id})
    assert (answer.status_code, "Last-Event-ID" in answer.json()["error"]) == (400, True)


def test_nothing_is_behind_the_last_possible_event_id(served: Demo, client: httpx.Client) -> None:
    last = f"{2**64 - 1}-{2**64 - 1}"
    asked = {"user": "alice", "thread": "t1"}
    with client.stream("GET", "/events", params=asked, headers={"Last-Event-ID": last}) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines()).startswith(":")


def test_a_body_that_breaks_off_is_no_failure_of_the_server(start: StartDemo) -> None:
    demo = start()
    host, port = demo.url.removeprefix("http://").split(":")
    head = f"POST /exchange HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    for _ in range(3):
        with socket.create_connection((host, int(port))) as broken:
            broken.sendall(f'{head}Content-Length: 100\r\n\r\n{{"user"'.encode())
    httpx.get(f"{demo.url}/state", params={"user": "alice", "thread": "t"}).raise_for_status()
    demo.end()
    assert "Traceback" not in demo.said


def test_refusals_are_json(client: httpx.Client) -> None:
    body = b'{"user": "a", "thread": "t", "text": "%s"}' % (b"x" * 66_000)
    kind = {"content-type": "application/json"}
    for answer, status in (
        (client.post("/exchange", content=body, headers=kind), 413),
        (client.post("/exchange", content=iter([body]), headers=kind), 413),
        (client.post("/exchange", content=b"{", headers=kind), 400),
        (client.post("/exchange", content=b"{}"), 415),
        (client.get("/exchange"), 405),
        (client.get("/etc/passwd"), 404),
        (client.get("/../page.py"), 404),
        (client.get("/%2e%2e/app.py"), 404),
        (client.get("/state", headers={"host": "evil.example"}), 421),
        (client.post("/reset", json={"user": "alice"}, headers={"origin": "http://evil.example"}), 403),
    ):
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), answer.text
    assert len(memories(client)) == 8


def stream(client: httpx.Client, text: str) -> list[tuple[str, Any]]:
    asked = {"user": "alice", "thread": "t1", "text": text}
    with client.stream("POST", "/exchange", json=asked, headers={"accept": "text/event-stream"}) as answer:
        lines = [line for line in answer.iter_lines() if line]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in zip(lines[::2], lines[1::2], strict=True)
    ]


def test_a_models_answer_is_streamed_and_what_fails_is_told_without_secrets(start: StartDemo) -> None:
    demo = start("--model", "stub:model")
    with httpx.Client(base_url=demo.url, timeout=30) as client:
        *deltas, (name, exchange) = stream(client, "hello")
        assert name == "exchange"
        assert len(deltas) > 3
        assert "".join(part["text"] for _, part in deltas) == exchange["answer"]
        assert exchange["answer"].endswith("of the model, in parts")
        (name, failed) = stream(client, "please fail")[-1]
        assert (name, failed["status"]) == ("error", 502)
        assert "Incorrect API key" in failed["error"]
        assert "sk-abc" not in failed["error"]
        plain = client.post("/exchange", json={"user": "alice", "thread": "t1", "text": "fail"})
        assert (plain.status_code, "sk-abc" in plain.text) == (502, False)
        said = [(message["content"], message["unanswered"]) for message in state(client)["session"]["turns"]]
        answered = [("hello", False), (exchange["answer"], False)]
        assert said == [*answered, ("please fail", True), ("fail", True)]


def test_a_reader_who_goes_abandons_the_exchange(start: StartDemo) -> None:
    demo = start("--model", "stub:model")
    with httpx.Client(base_url=demo.url, timeout=30) as client:
        asked = {"user": "alice", "thread": "t1", "text": "slow"}
        with client.stream(
            "POST", "/exchange", json=asked, headers={"accept": "text/event-stream"}
        ) as answer:
            next(answer.iter_lines())
        wait_until(lambda: "turn_error" in [one["action"] for one in state(client)["events"]])
        assert [message["content"] for message in state(client)["session"]["turns"]] == ["slow"]


@pytest.fixture
def bare(own_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_server.url) as client:
        yield client


def test_events_are_their_users_after_the_session_has_expired_too(
    served: Demo, client: httpx.Client, bare: redis.Redis
) -> None:
    say(client, "my secret")
    bare.xadd("agent:events:t1", {"action": "note", "detail": "of nobody"})
    own = [event["detail"] for event in state(client)["events"]]
    assert own[0] == "of nobody"
    assert "my secret" in own
    assert bare.delete("agent:session:t1") == 1
    assert [event["detail"] for event in state(client)["events"]] == own[1:]
    assert state(client, user="bob")["events"] == []
    with following(served, "t1", user="bob") as got:
        say(client, "my last word", user="bob", thread="elsewhere")
        say(client, "bob is here", user="bob")
        wait_until(lambda: "bob is here" in [event["detail"] for event in got])
        assert {event["user"] for event in got} <= {"bob", ""}
    assert not [event for event in state(client, user="bob")["events"] if "secret" in event["detail"]]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "9" * 400])
def test_numbers_that_json_has_not_hide_nothing(
    served: Demo, client: httpx.Client, bare: redis.Redis, number: str
) -> None:
    say(client, "hello")
    bare.xadd("agent:events:t1", {"action": "odd", "ts": number, "duration_seconds": number})
    bare.hset("agent:session:t1", "last_active_ts", number)
    odd = state(client)["events"][0]
    assert (odd["action"], odd["duration_seconds"]) == ("odd", None)
    assert "t1" in [
        one["thread"] for one in client.get("/threads", params={"user": "alice"}).json()["threads"]
    ]
    with following(served, "t1") as got:
        wait_until(lambda: "odd" in [event["action"] for event in got])
    assert json.dumps(got, allow_nan=False)
