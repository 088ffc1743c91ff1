// Replays the thread step by step: each event is a step. Nothing of it is written anywhere.

import { byId, element, milliseconds, words } from "/dom.js";
import { itemOf } from "/log.js";
import { on, shown, tell } from "/state.js";
import { clock } from "/times.js";
import { isError, recalledOf } from "/turns.js";

const PLAYED_MS = 900;
let events = [];
let at = null; // the step that is shown, from 0; null while the page is live
let playing = null;

on("entering", leave);
on("log", (list) => {
  const step = at === null ? null : events[at];
  events = list;
  byId("replay").hidden = events.length < 2;
  byId("step").max = Math.max(events.length, 1);
  if (step) at = events.findIndex(({ id }) => id === step.id);
  if (at === -1) leave();
  else show();
});

function go(step) {
  at = Math.min(Math.max(step, 0), events.length - 1);
  show();
  const item = itemOf(events[at]);
  const details = item.closest("details");
  if (details) details.open = true;
  item.scrollIntoView({ block: "nearest" });
  tell("replay", { step: at, event: events[at], messages: messages(), recalled: events[at].memory_ids });
}

function show() {
  const live = at === null;
  byId("step").value = live ? events.length : at + 1;
  byId("step-of").textContent = live ? "live" : `${at + 1} of ${events.length}`;
  byId("step").setAttribute("aria-valuetext", live ? "live" : `step ${at + 1} of ${events.length}: ${events[at].action}`);
  byId("to-live").hidden = live;
  byId("step-before").disabled = !events.length || at === 0;
  byId("step-after").disabled = live || at === events.length - 1;
  byId("play").setAttribute("aria-pressed", String(playing !== null));
  byId("play").textContent = playing === null ? "▶" : "❚❚";
  byId("play").setAttribute("aria-label", playing === null ? "Play" : "Pause");
  mark();
  showStrip();
}

function mark() {
  byId("events").classList.toggle("replaying", at !== null);
  for (const one of document.querySelectorAll(".replayed")) one.classList.remove("replayed");
  for (const one of byId("events").querySelectorAll("[aria-current]")) one.removeAttribute("aria-current");
  for (const one of byId("events").querySelectorAll(".later")) one.classList.remove("later");
  if (at === null) return;
  const now = itemOf(events[at]);
  now.setAttribute("aria-current", "step");
  for (const later of events.slice(at + 1)) {
    const item = itemOf(later);
    if (item !== now) item.classList.add("later");
  }
  for (const id of events[at].memory_ids) {
    for (const one of document.querySelectorAll(`#recalled [data-id="${CSS.escape(id)}"], #memories [data-id="${CSS.escape(id)}"], .map [data-id="${CSS.escape(id)}"]`)) one.classList.add("replayed");
  }
}

// The messages up to the step: those of the window, and before them, what the events still tell.
function messages() {
  const stored = shown.session?.turns ?? [];
  const began = stored.length ? stored[0].ts : Infinity;
  const told = [];
  for (const event of events.slice(0, at + 1)) {
    if (event.ts >= began) break;
    if (event.action === "turn_start") told.push({ role: "user", content: event.detail, ts: event.ts, unanswered: false });
    if (answers(event)) told.push({ role: "assistant", content: event.detail, ts: event.ts, unanswered: false });
  }
  const all = [...told, ...stored.filter(({ ts }) => ts <= end())];
  const most = shown.about.max_turns;
  return most ? all.slice(-most) : all;
}

const answers = (event) => event.action.endsWith("_end") && event.run_id && !event.parent_run_id && event.detail;

// Up to when messages have been written at this step: an answer is, once its run has ended.
function end() {
  const next = events.findIndex(({ action }, step) => step > at && action === "turn_start");
  const turn = events.slice(0, at + 1).findLastIndex(({ action }) => action === "turn_start");
  const ended = events.slice(turn + 1, at + 1).some(answers);
  if (!ended) return events[at].ts;
  return next === -1 ? Infinity : events[next].ts - 0.001;
}

// In place of what the last exchange has changed, what this step has.
function showStrip() {
  byId("changed").hidden = byId("next").hidden = at !== null;
  let strip = byId("replayed");
  if (at === null) return strip?.remove();
  if (!strip) {
    strip = element("div", { id: "replayed", class: "changed", role: "status" });
    byId("changed").after(strip);
  }
  const event = events[at];
  strip.classList.toggle("bad", isError(event));
  strip.replaceChildren(element("p", {}, element("b", {}, `Step ${at + 1}`), ` · ${clock(event.ts)} · `, ...changedBy(event)));
}

const quoted = (text) => words("q", {}, text.length > 200 ? `${text.slice(0, 200)}…` : text);
const memory = (event, id = event.memory_ids[0]) => words("button", { type: "button", class: "link", ...(id ? { "data-memory": id } : {}) }, event.detail.slice(0, 200));

function changedBy(event) {
  const run = [event.action.replace(/_(start|end|error)$/, ""), event.name].filter(Boolean).join(" ");
  const took = event.duration_seconds === null ? "" : ` after ${milliseconds(event.duration_seconds * 1000)}`;
  switch (event.action) {
    case "turn_start":
      return ["said: ", quoted(event.detail)];
    case "recall": {
      const found = recalledOf(event) ?? [];
      const links = found.flatMap(({ id, text }) => [" ", words("button", { type: "button", class: "link", "data-memory": id }, text)]);
      return [`${event.memory_ids.length || "nothing"} recalled${links.length ? ":" : ""}`, ...links];
    }
    case "remember":
      return ["+1 memory: ", memory(event)];
    case "merge":
      return ["said again: ", memory(event)];
    case "replace":
      return ["replaced: ", memory(event, event.memory_ids.at(-1))];
    case "delete":
      return ["−1 memory: ", memory(event)];
    case "restore":
      return ["brought back: ", memory(event)];
    case "goal":
    case "scratchpad":
      return [`${event.action}: `, quoted(event.detail)];
    default:
      if (event.action.endsWith("_start")) return [`${run} begins`];
      if (event.action.endsWith("_end")) return [`${run} ends${took}`, ...(event.detail ? [": ", quoted(event.detail)] : [])];
      return [event.action, ...(event.detail ? [": ", quoted(event.detail)] : [])];
  }
}

function leave() {
  stop();
  if (at === null) return show();
  at = null;
  show();
  tell("replay", null);
}

function play() {
  if (playing !== null) return stop();
  if (at === null || at === events.length - 1) go(0);
  playing = setInterval(() => {
    if (at >= events.length - 1) stop();
    else go(at + 1);
  }, PLAYED_MS);
  show();
}

function stop() {
  clearInterval(playing);
  playing = null;
  show();
}

byId("step").addEventListener("input", () => {
  const chosen = Number(byId("step").value) - 1;
  stop();
  go(chosen);
});
byId("step-before").addEventListener("click", () => {
  stop();
  go(at === null ? events.length - 1 : at - 1);
});
byId("step-after").addEventListener("click", () => {
  stop();
  go(at + 1);
});
byId("play").addEventListener("click", play);
byId("to-live").addEventListener("click", () => {
  leave();
  byId("step").focus();
});
byId("replay").addEventListener("keydown", (event) => {
  if (event.key === "Escape") leave();
});
byId("exchange").addEventListener("submit", leave, { capture: true }); // what is said is said now
