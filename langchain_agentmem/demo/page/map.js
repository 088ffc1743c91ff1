// 2: the map of memories: where the query stands, what it recalls, and what is known of the point under the pointer.

import { doing } from "/acting.js";
import { byId, counted, dated, element, kindBadge, words } from "/dom.js";
import * as lives from "/life.js";
import { Drawing } from "/drawing.js";
import { current, parts, recallAgain } from "/recall.js";
import { get } from "/server.js";
import { on, state, tell, who } from "/state.js";

const REACH = 14; // pixels from a point that still mean it
const DRAG = 4; // pixels that a click may move

const frame = byId("map");
const cursor = byId("map-cursor");
const tip = byId("map-tip");
const drawing = new Drawing(frame);
let points = new Map();
let scope = ""; // whose points these are
let pointed = null; // the point that the tip is about
let asking = new AbortController();
let placed = true; // whether the last question had a place, or was asked again for one

// What is on the map

const load = doing(async () => {
  if (state.view !== "map") return;
  const asked = who();
  if (scope !== JSON.stringify(asked)) told("Drawing the map …");
  const map = await get("/map", asked);
  if (asked.user !== state.user || asked.namespace !== state.namespace) return;
  const before = scope === JSON.stringify(asked) ? points : null;
  scope = JSON.stringify(asked);
  points = new Map(map.points.map((point) => [point.id, point]));
  drawing.points = [...points.values()];
  drawing.showPoints();
  if (before) drawing.welcome([...points.values()].filter(({ id }) => !before.has(id)));
  showLegend();
  showRecall();
  if (pointed && !points.has(pointed.id)) point(null);
  if (!current()) tell("ranking"); // what waits in the box
});

on("view:map", load);
on("memories", load);
on("recall", showRecall);
on("entering", () => {
  point(null);
  scope = "";
  drawing.reset();
});
on("theme", () => drawing.showPoints());
on("resized", () => drawing.resize());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawing.showPoints());
new ResizeObserver(() => drawing.resize()).observe(frame);

function showRecall() {
  if (state.view !== "map" || scope !== JSON.stringify(who())) return;
  const recall = current();
  if (recall && points.size) placeOnMap(recall);
  const near = (recall?.memories ?? []).filter(({ id }) => points.has(id));
  drawing.showRecall(recall?.at ? recall : null, near.map((memory, at) => ({ ...points.get(memory.id), memory, rank: at + 1 })));
  told(points.size ? "" : `Nothing is known of ${state.user} yet. What you say appears here, near what is like it.`);
  cursor.hidden = !points.size;
  if (pointed) showTip();
  summarize(recall, near);
}

// What was asked before there was a map stands nowhere on it, and is asked again.
function placeOnMap({ at }) {
  const lost = !at && placed;
  placed = Boolean(at);
  if (lost) recallAgain();
}

function told(instead) {
  byId("map-empty").hidden = !instead;
  byId("map-empty").textContent = instead;
}

// The list of what is recalled tells in words what the map shows.
function summarize(recall, near) {
  const found = near.filter(({ recalled }) => recalled).length;
  const asked = recall ? ` “${recall.query}” recalls ${found || "none"} of them; the tab Recalled lists them.` : "";
  frame.setAttribute("aria-label", `Map of ${counted(points.size, "memory")}, those alike beside each other.${asked}`);
}

function showLegend() {
  const all = [...points.values()];
  for (const one of byId("map-legend").querySelectorAll("[data-has]")) {
    const { has } = one.dataset;
    one.hidden = !all.some(({ kind, superseded_by }) => (has === "replaced" ? superseded_by : has === "other" ? !["semantic", "episodic"].includes(kind) : kind === has));
  }
  byId("map-count").textContent = counted(points.size, "memory");
}

// What a point is

function point(one) {
  if (one?.id === pointed?.id) return;
  pointed = one;
  frame.classList.toggle("pointing", Boolean(one));
  drawing.point(one);
  asking.abort();
  if (!one) return void (tip.hidden = true);
  showTip();
  if (one.text === undefined) read(one);
}

// Of many points, the texts come one by one.
const read = doing(async (one) => {
  asking = new AbortController();
  const { memory } = await get("/memory", { user: state.user, id: one.id }, asking.signal);
  one.text = memory?.text ?? "It is no longer there.";
  one.ts = memory ? (memory.updated_ts ?? memory.created_ts) : null;
  if (pointed === one) showTip();
});

function showTip() {
  const one = pointed;
  const memory = current()?.memories.find(({ id }) => id === one.id);
  const facts = element("p", { class: "fact" }, kindBadge(one.kind), " ", dated(one.ts)?.toLocaleDateString("en", { dateStyle: "medium" }) ?? "");
  if (memory?.score != null) facts.append(` · score ${memory.score.toFixed(3)}`);
  if (memory?.distance != null) facts.append(` · distance ${memory.distance.toFixed(3)}`);
  if (one.superseded_by) facts.append(" · replaced by a newer one");
  const told = memory ? element("p", { class: memory.recalled ? "yes" : "no" }, memory.recalled ? "Recalled" : "Near, not recalled") : "";
  tip.replaceChildren(words("p", { class: "tip-text" }, one.text ?? "…"), facts, told, ...(memory?.explanation ? [parts(memory, { briefly: true })] : []));
  tip.hidden = false;
  drawing.beside(one, tip);
}

const open = doing(async (one) => lives.openLife?.(one.id));

// By pointer: hovering tells, a click opens, dragging moves a map that is zoomed.

let grip = null;
frame.addEventListener("pointermove", (event) => {
  const { x, y } = drawing.within(event);
  if (grip) {
    const [dx, dy] = [x - grip.x, y - grip.y];
    if (!grip.moved && Math.hypot(dx, dy) < DRAG) return;
    Object.assign(grip, { x, y, moved: true });
    point(null);
    return drawing.pan(dx, dy);
  }
  if (event.pointerType === "mouse") point(drawing.nearest(x, y, REACH));
});
frame.addEventListener("pointerdown", (event) => {
  if (event.target.closest("button")) return;
  grip = { ...drawing.within(event), moved: false };
});
addEventListener("pointerup", (event) => {
  const held = grip;
  grip = null;
  if (!held || held.moved || !frame.contains(event.target)) return;
  const one = drawing.nearest(held.x, held.y, event.pointerType === "mouse" ? REACH : 2 * REACH);
  const again = one && one.id === pointed?.id;
  point(one);
  if (one && (event.pointerType === "mouse" || again)) open(one); // a first touch tells, as hovering does
});
addEventListener("pointercancel", () => (grip = null));
frame.addEventListener("pointerleave", () => {
  if (document.activeElement !== cursor) point(null);
});
frame.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
  event.preventDefault();
  const { x, y } = drawing.within(event);
  drawing.zoom(Math.exp(-event.deltaY / 200), x, y);
}, { passive: false });
byId("map-in").addEventListener("click", () => drawing.zoom(1.6));
byId("map-out").addEventListener("click", () => drawing.zoom(1 / 1.6));

// By keys: the arrows go from point to point, Home to the best one, Enter opens.

const STEPS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

function go(one) {
  if (!one) return;
  drawing.reveal(one);
  point(one);
  cursor.setAttribute("aria-label", one.text ?? "A memory");
  const memory = current()?.memories.find(({ id }) => id === one.id);
  byId("map-said").textContent = [one.text, one.kind, memory && (memory.recalled ? "recalled" : "near, not recalled")].filter(Boolean).join(", ");
}
const best = () => points.get(current()?.memories.find(({ id }) => points.has(id))?.id) ?? points.values().next().value;
cursor.addEventListener("focus", () => go(pointed ?? best()));
cursor.addEventListener("blur", () => point(null));
cursor.addEventListener("click", () => pointed && open(pointed));
cursor.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return point(null);
  if (["+", "-"].includes(event.key)) return drawing.zoom(event.key === "+" ? 1.6 : 1 / 1.6);
  const step = STEPS[event.key];
  if (!step && event.key !== "Home") return;
  event.preventDefault();
  go(step ? drawing.next(pointed ?? best(), ...step) : best());
});
