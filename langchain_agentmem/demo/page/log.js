// 3: the event log of the thread, by turns: the newest on top, and in each the oldest event first.

import { doing } from "/acting.js";
import { byId, counted, dated, element, milliseconds, words } from "/dom.js";
import { arrange } from "/keyed.js";
import { get } from "/server.js";
import { here, on, state, tell } from "/state.js";
import { clock, exact } from "/times.js";
import { isError, recalledOf, tierOf, Turns } from "/turns.js";

const LONG = 160; // characters that a detail shows before it is opened
let events = []; // oldest first
let turns = new Turns();
let older = false; // whether there are events before these
const shownAs = new WeakMap(); // of a group its item, of a row its item and what that shows

on("entering", () => begin([]));
on("session", (seen) => {
  if (seen.older !== undefined && !events.length) older = seen.older;
});
on("events", begin);
on("event", (event) => {
  if (events.some(({ id }) => id === event.id)) return;
  events.push(event);
  const group = turns.add(event);
  showGroup(group, { fresh: true });
  showGroups();
  tell("log", events);
});

function begin(list) {
  events = [...list];
  turns = new Turns();
  for (const event of events) turns.add(event);
  if (!events.length) older = false;
  for (const group of turns.groups) showGroup(group, { fresh: false });
  const newest = turns.groups.findLast(({ said }) => said !== null);
  if (newest) shownAs.get(newest).querySelector("details").open = true;
  showGroups();
  tell("log", events);
}

const readOlder = doing(async () => {
  const { thread } = state;
  const found = await get("/log", { ...here(), before: events[0].id });
  if (thread !== state.thread) return;
  const open = new Set(turns.groups.filter(isOpen).flatMap(({ rows }) => rows.map((row) => row.events[0].id)));
  older = found.older;
  const all = [...found.events.toReversed(), ...events];
  begin(all);
  for (const group of turns.groups) {
    const details = shownAs.get(group).querySelector("details");
    if (details) details.open = group.rows.some((row) => open.has(row.events[0].id));
  }
});

const isOpen = (group) => shownAs.get(group)?.querySelector("details")?.open ?? true;

function showGroups() {
  const items = turns.groups.toReversed().map((group) => shownAs.get(group));
  if (!items.length) items.push(element("li", { class: "empty" }, "Nothing happened yet in this thread."));
  if (older) items.push(olderItem());
  arrange(byId("events"), items);
}

let olderButton = null;
function olderItem() {
  if (olderButton) return olderButton;
  const button = element("button", { type: "button" }, "Older events");
  button.addEventListener("click", readOlder);
  olderButton = element("li", { class: "older" }, button);
  return olderButton;
}

// A turn can be folded; what happened between turns cannot.
function showGroup(group, { fresh }) {
  let item = shownAs.get(group);
  if (!item) {
    const rows = element("ol", { class: "rows" });
    if (group.said === null) item = element("li", { class: "between" }, rows);
    else {
      const summary = element("summary", {}, words("span", { class: "said" }, group.said), element("span", { class: "sum" }));
      item = element("li", { class: "turn" }, element("details", { open: fresh }, summary, rows));
    }
    shownAs.set(group, item);
  }
  item.classList.toggle("failed", Boolean(group.failed));
  if (group.said !== null) {
    const took = group.count > 1 ? `${milliseconds((group.until - group.from) * 1000)} · ` : "";
    item.querySelector(".sum").replaceChildren(`${clock(group.from)} · ${took}${counted(group.count, "event")}`);
  }
  arrange(item.querySelector(".rows"), group.rows.map((row) => rowItem(row, fresh)));
}

function rowItem(row, fresh) {
  const known = shownAs.get(row);
  if (known?.shows === row.events.length) return known.item;
  const item = made(row);
  item.classList.toggle("fresh", fresh);
  known?.item.replaceWith(item);
  shownAs.set(row, { item, shows: row.events.length });
  return item;
}

// A run is one row: its start, and its end if that has come.
function made({ events: own, depth }) {
  const [first, last] = [own[0], own.at(-1)];
  const merged = own.length > 1 && !isError(last);
  const action = merged ? first.action.replace(/_start$/, "") : last.action;
  const took = last.duration_seconds === null ? "" : `${milliseconds(last.duration_seconds * 1000)} · `;
  const when = dated(last.ts);
  const time = element("time", { title: `${exact(last.ts)} · ${last.id}` }, clock(last.ts));
  if (when) time.dateTime = when.toISOString();
  const item = element(
    "li",
    { "data-events": own.map(({ id }) => id).join(" "), "data-tier": tierOf(first.action), class: own.some(isError) ? "event bad" : "event" },
    element("span", { class: "action" }, [action, last.name || first.name].filter(Boolean).join(" ")),
    element("span", { class: "took" }, took, time),
  );
  item.style.setProperty("--depth", Math.min(depth, 6));
  if (first.action === "turn_start") return item; // the heading has what was said
  if (own.length > 1 && first.detail) item.append(detail(first.detail, "asked"));
  const found = recalledOf(last);
  if (found) item.append(recalledList(found));
  else if (last.detail) item.append(detail(last.detail, "", last.memory_ids.length === 1 ? last.memory_ids[0] : null));
  return item;
}

function recalledList(found) {
  const lines = found.map(({ id, number, text }) =>
    element("li", {}, element("span", { class: "number" }, number), " ", words("button", { type: "button", class: "link", "data-memory": id }, text)),
  );
  return element("ul", { class: "detail hits" }, ...lines);
}

function detail(text, label, memory = null) {
  if (memory) return words("button", { type: "button", class: "detail link", "data-memory": memory }, text);
  const said = words("span", { class: "detail", title: label }, text);
  if (text.length <= LONG && !text.includes("\n")) return said;
  const toggle = words("button", { type: "button", class: "detail long", "aria-expanded": "false" }, text);
  toggle.addEventListener("click", () => toggle.setAttribute("aria-expanded", String(toggle.getAttribute("aria-expanded") !== "true")));
  return toggle;
}

export const itemOf = (event) => shownAs.get(turns.row(event)).item;
