// What each tier is and where it is stored, and what answers: the texts that explain the page.

import { doing } from "/acting.js";
import { copy, quoted } from "/copy.js";
import { byId, element, span } from "/dom.js";
import { on, shown, state } from "/state.js";

on("about", (about) => {
  byId("forgets").textContent = about.session_ttl_seconds ? `, gone after ${span(about.session_ttl_seconds)} of silence` : "";
  byId("place").replaceChildren(`${about.place} · `, ...answering(about.model));
});

function answering(model) {
  if (model) return ["answers by ", element("b", {}, model)];
  return ["no model: answers are made of memories only; ", element("code", {}, "--model openai:gpt-5-mini"), " for a real one"];
}

on("entering", () => {
  const { stored } = shown.about;
  const thread = (place) => place.key.replace("<thread>", state.thread);
  const session = thread(stored.working);
  const events = thread(stored.events);
  tell("working", stored.working.type, session, `HGETALL ${quoted(session)}`);
  tell("events", stored.events.type, events, `XREVRANGE ${quoted(events)} + - COUNT 10`);
});

// In partitions, the key and the index are those of the user.
on("entered", () => {
  const { key, index } = shown.memories;
  tell("long_term", shown.about.stored.long_term.type, key, searching(index));
});

// A user's memories, without their vectors. A name with anything else than letters is in the index as a digest.
function searching(index) {
  const plain = [state.user, state.namespace].every((name) => /^[A-Za-z0-9]+$/.test(name));
  const query = plain ? `"@user:{${state.user}} @namespace:{${state.namespace}}"` : "*";
  return `FT.SEARCH ${quoted(index)} ${query} RETURN 3 user kind text`;
}

function tell(tier, type, key, command) {
  const button = element("button", { type: "button", class: "key", title: `${key}\nClick to copy for redis-cli: ${command}` }, `${type} `, element("code", {}, shortened(key)));
  button.addEventListener("click", doing(() => copy(command)));
  byId(`${tier}-stored`).replaceChildren(button);
}

const shortened = (key) => (key.length > 24 ? `${key.slice(0, 21)}…` : key);
