// 2: what a query recalls, by which mode and up to which distance; and what it just misses.

import { doing } from "/acting.js";
import { byId, dated, drawn, element, kindBadge, words } from "/dom.js";
import { marked } from "/marked.js";
import { post } from "/server.js";
import { on, show, shown, state, tell, who } from "/state.js";

const MEANS = { hybrid: "By meaning and words", vector: "By meaning alone", text: "By words alone" };
const PARTS = {
  meaning: "how alike they are",
  words: "words that they share",
  context: "what was said before it",
  speaker: "who said it",
  question: "what is asked for",
  recency: "how new it is",
  reranked: "as a model judges it",
};

let recalling = new AbortController();

// What is looked for now: what is typed, or else what was said last.
export const LIVE_VIEWS = ["map", "recalled"];
export const current = () => (LIVE_VIEWS.includes(state.view) && shown.typed) || shown.recall;

const mode = () => state.mode || shown.about.modes[0];
const farthest = () => (mode() === "vector" ? shown.about.recall_threshold : 1); // by words too, a distance is no limit by itself
const chosen = () => (state.threshold === "" ? farthest() : Number(state.threshold));

// The distance up to which is recalled; null for any.
export function threshold() {
  return mode() === "vector" || (mode() === "hybrid" && chosen() < 1) ? chosen() : null;
}
export const ranking = () => ({ mode: mode(), ...(threshold() === null ? {} : { threshold: threshold() }) });
export const asking = (query) => ({ ...who(), query, ...ranking(), ...(state.before ? { before: state.before } : {}) });

on("about", (about) => {
  byId("mode").replaceChildren(...about.modes.map((name) => element("option", { value: name }, name)));
  showChoices();
});

on("entering", () => {
  recalling.abort();
  [shown.recall, shown.typed] = [null, null];
  byId("whose").textContent = state.user;
  showChoices();
  tell("recall");
  if (state.query) recallAgain();
});

on("exchange", ({ recall, fate }) => {
  recalling.abort(); // what is on its way belongs to the words before
  // An exchange does not recall the memory that it became.
  [shown.recall, shown.typed] = [recall, null];
  show({ before: fate.what === "stored" ? fate.id : "" });
  tell("recall");
});

on("query", () => {
  shown.recall = null;
  recallAgain();
});

on("memories", () => {
  if (shown.recall) recallAgain();
});

on("recall", () => {
  showQuery(current());
  showRecalled(current(), threshold());
  showChart(current(), threshold());
});
on("resized", () => showChart(current(), threshold()));
for (const view of [...LIVE_VIEWS, "compare", "all"]) on(`view:${view}`, () => showQuery(current()));
on("view:recalled", () => showChart(current(), threshold()));

export const recallAgain = doing(async () => {
  showChoices();
  if (shown.typed) tell("ranking");
  const query = shown.recall?.query ?? state.query;
  if (!query) return tell("recall");
  recalling.abort();
  recalling = new AbortController();
  const { signal } = recalling;
  const recall = await post("/recall", asking(query), signal);
  if (signal.aborted) return;
  shown.recall = recall;
  tell("recall");
});

// Looks for something without saying it.
export function ask(query) {
  show({ query });
  tell("query");
}

function showChoices() {
  byId("mode").value = mode();
  byId("threshold").value = chosen();
  byId("threshold-value").textContent = threshold()?.toFixed(2) ?? "any distance";
  byId("threshold").disabled = mode() === "text";
  byId("means").textContent = `${MEANS[mode()]}. ${slides()}`;
}

// What the slider does, in a sentence.
function slides() {
  if (mode() === "text") return "Words have no distance to limit.";
  if (mode() === "vector") return "What is nearer than the threshold is recalled.";
  return threshold() === null ? "Slide left to limit the distance, too." : "What is farther away is left out.";
}

function showQuery(recall) {
  if (!recall) return byId("query").replaceChildren("Type or say something to see what it recalls.");
  byId("query").replaceChildren(recall === shown.typed ? "not sent yet " : "for ", words("q", { title: recall.query }, recall.query));
}

// By vector, the distance ranks, up to the threshold; otherwise the score, and what makes it up is told.
function showRecalled(recall, limit) {
  const memories = recall?.memories ?? [];
  const within = memories.filter((memory) => memory.recalled);
  const missed = memories.filter((memory) => !memory.recalled);
  const byDistance = recall?.mode === "vector";
  const row = (memory) => recalledRow(memory, memories.indexOf(memory), byDistance ? limit : null);
  const rows = within.map(row);
  if (!within.length) rows.push(element("li", { class: "none" }, recall ? nothing(recall, limit) : "What is known, and why it is found, shows here, best first."));
  if (missed.length) {
    rows.push(element("li", { class: "divider" }, `${byDistance ? "Beyond the threshold: n" : "N"}ot recalled`));
    rows.push(...missed.map(row));
  }
  byId("recalled").replaceChildren(...rows);
}

function nothing({ mode: by, memories }, limit) {
  if (!memories.length && by !== "text") return `Nothing recalled: nothing is known of ${state.user} yet.`;
  if (limit === null) return by === "text" ? "Nothing recalled: no memory shares a word with it that says much." : "Nothing recalled: no memory seems to be about this.";
  const nearest = Math.min(...memories.map(({ distance }) => distance ?? Infinity));
  if (nearest <= limit) return `Nothing recalled within ${limit.toFixed(2)}: what is that near does not seem to be about this.`;
  const next = Number.isFinite(nearest) ? `: the nearest memory is ${nearest.toFixed(2)} away` : "";
  return `Nothing recalled within ${limit.toFixed(2)}${next}.`;
}

function recalledRow(memory, index, limit) {
  const ranked = limit === null && memory.score !== null;
  const barred = ranked || limit !== null;
  const value = (ranked ? memory.score : memory.distance) ?? 0;
  const bar = element("span", { class: "bar", "aria-hidden": "true" }, element("span", { class: "fill" }));
  bar.firstChild.style.width = `${Math.min(Math.max(value, 0), 1) * 100}%`;
  if (limit !== null) {
    const mark = element("span", { class: "mark" });
    mark.style.left = `${Math.min(limit, 1) * 100}%`;
    bar.append(mark);
  }
  const said = element("span", { class: "hidden" }, memory.recalled ? " recalled" : " not recalled");
  return element(
    "li",
    { class: memory.recalled ? "hit" : "miss", "data-id": memory.id },
    element("span", { class: "rank" }, String(index + 1)),
    element("span", { class: "text", dir: "auto", title: memory.text }, ...marked(memory.text, memory.matched_words)),
    kindBadge(memory.kind),
    ...(barred ? [bar] : []),
    element(
      "span",
      { class: ranked ? "score" : "distance", title: ranked ? "Score" : "Cosine distance" },
      barred ? value.toFixed(3) : `${value.toFixed(2)} away`,
      said,
    ),
    ...(ranked ? [reasons(memory)] : []),
  );
}

// The words that a memory shares with the question, and behind them the parts of its rank.
function reasons(memory) {
  const shared = memory.matched_words.join(" · ");
  const isOneOfAll = memory.distance === null && memory.explanation; // the question asks for whatever is known
  const other = isOneOfAll ? "one of all: newest first" : "found by its meaning";
  return element("details", {}, element("summary", {}, shared ? `shares ${shared}` : other), parts(memory));
}

// The parts of a rank; with what they mean as their titles.
export function parts(memory, { briefly = false } = {}) {
  const numbers = Object.entries(memory.explanation ?? {}).filter(([, value]) => value);
  const told = numbers.map(([name, value]) => {
    const signed = `${value > 0 && name !== "meaning" ? "+" : ""}${value.toFixed(3)}`;
    return element("div", { title: PARTS[name] ?? "" }, element("dt", {}, name), element("dd", {}, signed));
  });
  if (briefly) return element("dl", {}, ...told);
  const when = dated(memory.ts);
  if (when) told.push(element("div", {}, element("dt", {}, "told"), element("dd", {}, when.toLocaleString())));
  if (memory.context) told.push(element("div", {}, element("dt", {}, "said before"), words("dd", {}, memory.context)));
  return element("dl", {}, ...told);
}

function showChart(recall, limit) {
  const chart = byId("chart");
  const [width, left, right, base] = [chart.clientWidth || 400, 8, 8, 56];
  const x = (distance) => left + Math.min(Math.max(distance, 0), 1) * (width - left - right);
  const made = [];
  if (limit !== null) {
    made.push(drawn("rect", { class: "zone", x: left, y: 4, width: Math.max(x(limit) - left, 0), height: base - 4 }));
  }
  for (let at = 0; at <= 1.001; at += 0.25) {
    made.push(drawn("line", { class: "grid", x1: x(at), x2: x(at), y1: 4, y2: base }));
    const anchor = at === 0 ? "start" : at > 0.99 ? "end" : "middle";
    made.push(drawn("text", { x: x(at), y: base + 15, "text-anchor": anchor }, at === 1 ? "1 and more" : String(at)));
  }
  made.push(drawn("line", { class: "axis", x1: left, x2: width - right, y1: base, y2: base }));
  if (limit !== null) {
    made.push(drawn("line", { class: "limit", x1: x(limit), x2: x(limit), y1: 0, y2: base }));
  }
  const taken = [];
  for (const [index, memory] of (recall?.memories ?? []).entries()) {
    if (memory.distance === null) continue;
    const [at, lane] = free(taken, x(memory.distance));
    const dot = drawn("g", { class: memory.recalled ? "dot in" : "dot" });
    const y = base - 12 - lane * 17;
    dot.append(
      drawn("circle", { cx: at, cy: y, r: 8 }),
      drawn("text", { x: at, y }, String(index + 1)),
      drawn("title", {}, `${memory.distance.toFixed(3)} ${memory.text}`),
    );
    made.push(dot);
  }
  chart.replaceChildren(...made);
}

// Where a dot of the chart has room: in one of three lanes, or else further left.
function free(taken, at) {
  for (;; at -= 18) {
    const lane = [0, 1, 2].find((one) => !taken.some(([other, row]) => row === one && Math.abs(at - other) < 18));
    if (lane === undefined && at > 0) continue;
    taken.push([at, lane ?? 0]);
    return taken.at(-1);
  }
}

byId("threshold").addEventListener("input", () => {
  const value = Number(byId("threshold").value);
  show({ threshold: value === farthest() ? "" : String(value) });
  recallAgain();
});
byId("threshold").addEventListener("change", () => tell("slid"));
byId("mode").addEventListener("change", () => {
  const { value } = byId("mode");
  show({ mode: value === shown.about.modes[0] ? "" : value, threshold: "" });
  recallAgain();
});
