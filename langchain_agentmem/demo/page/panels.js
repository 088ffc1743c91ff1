// What the page shows. Whatever somebody wrote becomes text (textContent), never markup.

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function drawn(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function span(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let left = Math.max(Math.floor(seconds), 0);
  const at = Math.max(units.findIndex(([, size]) => left >= size), 0);
  if (!left) return "0 s";
  return units
    .slice(at, at + 2)
    .map(([unit, size]) => {
      const whole = Math.floor(left / size);
      left %= size;
      return whole ? `${whole} ${unit}` : "";
    })
    .filter(Boolean)
    .join(" ");
}

function kindBadge(kind) {
  return element("span", { class: `kind ${["semantic", "episodic"].includes(kind) ? kind : ""}` }, kind);
}

// 1: working memory

export function showWindow(session, limit) {
  const turns = session?.turns ?? [];
  const list = byId("window");
  list.replaceChildren(...turns.map((turn) => bubble(turn.role, turn.content, turn.unanswered)));
  if (!turns.length) {
    list.append(element("li", { class: "empty" }, "Nothing said yet in this thread. Ask about the editor theme, or tell something new."));
  }
  const ever = session?.turn_count ?? 0;
  byId("window-size").textContent =
    `${turns.length}${limit ? ` of ${limit}` : ""} messages${ever > turns.length ? `, ${ever} ever` : ""}`;
  list.scrollTop = list.scrollHeight;
}

export function bubble(role, content, unanswered = false) {
  const who = role === "user" ? "You: " : `${role}: `;
  const made = element("li", { class: role === "user" ? "user" : "other" }, element("span", { class: "hidden" }, who), content);
  if (unanswered) made.append(element("span", { class: "unanswered" }, "unanswered"));
  return made;
}

export function addBubble(role, content, waiting = false) {
  const list = byId("window");
  list.querySelector(".empty")?.remove();
  const made = bubble(role, content);
  made.classList.toggle("waiting", waiting);
  list.append(made);
  list.scrollTop = list.scrollHeight;
  return made;
}

export function showTtl(session, until) {
  const ttl = byId("ttl");
  if (!session) ttl.textContent = "no session yet";
  else if (until === null) ttl.textContent = "never expires";
  else ttl.textContent = until > Date.now() ? `expires in ${span((until - Date.now()) / 1000)}` : "expired";
}

// The last exchange

export function showFate(fate, failures) {
  const told = [];
  if (fate.what === "stored") {
    told.push(element("b", {}, "stored"), " as a new memory");
    if (fate.near) told.push(`; near, not merged: “${fate.near.text}” at ${fate.near.distance.toFixed(3)}`);
  } else if (fate.what === "merged") {
    told.push(element("b", {}, "says the same"), ` as “${fate.text ?? "a memory"}”, seen again: ${fate.hit_count ?? "?"}`);
  } else {
    const reasons = { skipped: "skip", "not noteworthy": `${fate.because}, nothing to remember` };
    told.push(`not remembered: ${reasons[fate.what] ?? fate.what}`);
  }
  if (failures.length) told.push(`; ${failures.join("; ")}`);
  byId("fate").replaceChildren(...told);
}

export function showCost(cost) {
  const part = (name, value, unit, title) =>
    element("div", { title }, element("dt", {}, name), element("dd", {}, value, element("small", {}, ` ${unit}`)));
  const own = cost ? `${cost.page_round_trips} more were this page’s own, to show what happened.` : "";
  const ms = (value) => (value === undefined ? "–" : value < 10 ? value.toFixed(1) : value.toFixed(0));
  byId("cost").replaceChildren(
    part("Round trips", cost ? String(cost.round_trips) : "–", "", own),
    part("Redis", ms(cost?.redis_ms), "ms", "From sending a batch to having its replies"),
    part("Embedding", ms(cost?.embedding_ms), "ms", "The text of an exchange is embedded once"),
    part("Model", ms(cost?.model_ms), "ms", "What answers"),
  );
}

// 2: long-term memory

export function showQuery(recall) {
  if (!recall) return byId("query").replaceChildren("Say something to see what it recalls.");
  byId("query").replaceChildren("for ", element("q", { title: recall.query }, recall.query));
}

// By vector, the distance ranks, up to the threshold; otherwise the score, and what makes it up is told.
export function showRecalled(recall, threshold) {
  const memories = recall?.memories ?? [];
  const within = memories.filter((memory) => memory.recalled);
  const missed = memories.filter((memory) => !memory.recalled);
  const byDistance = recall?.mode === "vector";
  const row = (memory) => recalledRow(memory, memories.indexOf(memory), byDistance ? threshold : null);
  const rows = within.map(row);
  if (recall && !within.length) {
    const why = threshold === null ? ": nothing of it seems to be known." : ` within ${threshold.toFixed(2)}.`;
    rows.push(element("li", { class: "none" }, `Nothing recalled${why}`));
  }
  if (missed.length) {
    rows.push(element("li", { class: "divider" }, `${byDistance ? "Beyond the threshold: n" : "N"}ot recalled`));
    rows.push(...missed.map(row));
  }
  byId("recalled").replaceChildren(...rows);
}

function recalledRow(memory, index, threshold) {
  const ranked = threshold === null && memory.score !== null;
  const barred = ranked || threshold !== null;
  const shown = (ranked ? memory.score : memory.distance) ?? 0;
  const bar = element("span", { class: "bar", "aria-hidden": "true" }, element("span", { class: "fill" }));
  bar.firstChild.style.width = `${Math.min(Math.max(shown, 0), 1) * 100}%`;
  if (threshold !== null) {
    const mark = element("span", { class: "mark" });
    mark.style.left = `${Math.min(threshold, 1) * 100}%`;
    bar.append(mark);
  }
  const state = element("span", { class: "hidden" }, memory.recalled ? " recalled" : " not recalled");
  return element(
    "li",
    { class: memory.recalled ? "hit" : "miss", "data-id": memory.id },
    element("span", { class: "rank" }, String(index + 1)),
    element("span", { class: "text", title: memory.text }, memory.text),
    kindBadge(memory.kind),
    ...(barred ? [bar] : []),
    element(
      "span",
      { class: ranked ? "score" : "distance", title: ranked ? "Score" : "Cosine distance" },
      barred ? shown.toFixed(3) : `${shown.toFixed(2)} away`,
      state,
    ),
    ...(ranked ? [reasons(memory)] : []),
  );
}

// The words that a memory shares with the question, and behind them the parts of its rank.
function reasons(memory) {
  const words = memory.matched_words.join(" · ");
  const parts = Object.entries(memory.explanation ?? {}).filter(([, value]) => value);
  const told = parts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value.toFixed(3))));
  const when = new Date((memory.ts ?? NaN) * 1000);
  if (!Number.isNaN(when.getTime())) told.push(element("div", {}, element("dt", {}, "told"), element("dd", {}, when.toLocaleString())));
  if (memory.context) told.push(element("div", {}, element("dt", {}, "said before"), element("dd", {}, memory.context)));
  return element("details", {}, element("summary", {}, words ? `shares ${words}` : "found by its meaning"), element("dl", {}, ...told));
}

export function showChart(recall, threshold) {
  const chart = byId("chart");
  const [width, left, right, base] = [chart.clientWidth || 400, 8, 8, 56];
  const x = (distance) => left + Math.min(Math.max(distance, 0), 1) * (width - left - right);
  const parts = [];
  if (threshold !== null) {
    parts.push(drawn("rect", { class: "zone", x: left, y: 4, width: Math.max(x(threshold) - left, 0), height: base - 4 }));
  }
  for (let at = 0; at <= 1.001; at += 0.25) {
    parts.push(drawn("line", { class: "grid", x1: x(at), x2: x(at), y1: 4, y2: base }));
    const anchor = at === 0 ? "start" : at > 0.99 ? "end" : "middle";
    parts.push(drawn("text", { x: x(at), y: base + 15, "text-anchor": anchor }, at === 1 ? "1 and more" : String(at)));
  }
  parts.push(drawn("line", { class: "axis", x1: left, x2: width - right, y1: base, y2: base }));
  if (threshold !== null) {
    parts.push(drawn("line", { class: "limit", x1: x(threshold), x2: x(threshold), y1: 0, y2: base }));
  }
  const lanes = [];
  for (const [index, memory] of (recall?.memories ?? []).entries()) {
    if (memory.distance === null) continue;
    const at = x(memory.distance);
    let lane = lanes.findIndex((last) => Math.abs(at - last) > 18);
    if (lane < 0) lane = lanes.length;
    lanes[lane] = at;
    const dot = drawn("g", { class: memory.recalled ? "dot in" : "dot" });
    const y = base - 12 - (lane % 3) * 17;
    dot.append(
      drawn("circle", { cx: at, cy: y, r: 8 }),
      drawn("text", { x: at, y }, String(index + 1)),
      drawn("title", {}, `${memory.distance.toFixed(3)} ${memory.text}`),
    );
    parts.push(dot);
  }
  chart.replaceChildren(...parts);
}

let known = null;
let expiries = new Map();

export function showMemories(memories, { scope, limit, onDrop }) {
  expiries = new Map(memories.filter((one) => one.ttl_seconds !== null).map((one) => [one.id, Date.now() + one.ttl_seconds * 1000]));
  const shown = JSON.stringify([scope, memories.map(({ ttl_seconds, ...one }) => one)]);
  if (known?.shown === shown) return showExpiries(); // rows that stay keep their focus
  const before = known?.scope === scope ? known.counts : null;
  const rows = memories.map((memory) => {
    const drop = element("button", { type: "button", title: "Delete", "aria-label": `Delete: ${memory.text}` }, "✕");
    drop.addEventListener("click", () => onDrop(memory));
    const fresh = before !== null && before.get(memory.id) !== memory.hit_count;
    return element(
      "tr",
      { "data-id": memory.id, class: fresh ? "fresh" : "" },
      element("td", {}, element("span", { class: "text", title: memory.text }, memory.text)),
      element("td", {}, kindBadge(memory.kind)),
      element("td", { class: "number seen" }, String(memory.hit_count)),
      element("td", { class: "number ttl" }, "never"),
      element("td", {}, drop),
    );
  });
  known = { scope, shown, counts: new Map(memories.map((memory) => [memory.id, memory.hit_count])) };
  byId("memories").replaceChildren(...rows);
  byId("memory-count").textContent = memories.length < limit ? `${memories.length} in scope` : `the newest ${memories.length}`;
  showExpiries();
}

// When each memory expires; returns whether one has.
export function showExpiries() {
  let over = false;
  for (const row of byId("memories").children) {
    const until = expiries.get(row.dataset.id);
    if (until === undefined) continue;
    over ||= until <= Date.now();
    row.querySelector(".ttl").textContent = span((until - Date.now()) / 1000);
  }
  return over;
}

// 3: events

export function clearEvents() {
  byId("events").replaceChildren(element("li", { class: "empty" }, "Nothing happened yet in this thread."));
}

export function addEvent(event, { fresh = true, limit = 200 } = {}) {
  const list = byId("events");
  list.querySelector(".empty")?.remove();
  const when = new Date((event.ts ?? NaN) * 1000); // whoever wrote it, it may be no date
  const dated = !Number.isNaN(when.getTime());
  const took = event.duration_seconds === null ? "" : `${(event.duration_seconds * 1000).toFixed(1)} ms · `;
  const row = element(
    "li",
    { class: fresh ? "fresh" : "", "data-id": event.id },
    element("span", { class: event.action.endsWith("error") ? "action bad" : "action" }, [event.action, event.name].filter(Boolean).join(" ")),
    element("span", { class: "took" }, took, element("time", { dateTime: dated ? when.toISOString() : "", title: event.id }, dated ? when.toLocaleTimeString([], { hour12: false }) : "–")),
  );
  if (event.detail) row.append(element("span", { class: "detail", title: event.detail }, event.detail));
  list.prepend(row);
  while (list.children.length > limit) list.lastChild.remove();
}

export function showLive(on) {
  byId("live").dataset.state = on ? "on" : "off";
  byId("live").textContent = on ? "live" : "offline";
}
