// 2: all memories of the scope: searched, sorted, and in pages. What is asked for stands in the URL.

import { doing } from "/acting.js";
import { byId, counted, element, kindBadge, span, words } from "/dom.js";
import { arrange } from "/keyed.js";
import { get, post } from "/server.js";
import { here, on, show, state, tell, who } from "/state.js";
import { since } from "/times.js";
import { offerUndo } from "/undo.js";

const LIMIT = 50;
const LAST_PAGE = 20_000;
const TYPING_MS = 200;
const NEXT_SORT = { told: (now) => (now === "newest" ? "oldest" : "newest"), seen: () => "most_seen" };
const SORTED = { newest: ["told", "descending"], oldest: ["told", "ascending"], most_seen: ["seen", "descending"] };

let rows = new Map(); // by id: the memory as it is shown, its row, and when it expires
let shownScope = null;
let total = null; // as of the scope and search shown
let stale = false; // whether something changed while the list was hidden
let asking = new AbortController();
let typing = null;
let travelled = false;

const page = () => Math.min(Math.max(Math.trunc(Number(state.page)) || 1, 1), LAST_PAGE);
const sort = () => (state.sort in SORTED ? state.sort : "newest");
const visible = () => state.view === "all";

on("travelled", ({ elsewhere } = {}) => {
  travelled = elsewhere;
  if (elsewhere) return; // entering comes next
  showAsked();
  changed();
});
on("entering", () => {
  const scope = `${state.user}\n${state.namespace}`;
  if (shownScope !== null && scope !== shownScope) {
    if (!travelled) show({ find: "", page: "1" });
    rows = new Map();
    byId("memories").replaceChildren();
  }
  [shownScope, total, stale, travelled] = [scope, null, true, false];
  showAsked();
});
on("memories", changed);
on("view:all", () => {
  if (stale) list();
  else showToggles();
});
on("resized", showToggles);
on("tick", () => {
  if (visible() && showExpiries()) tell("memories");
});

const list = doing(async () => {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  stale = false;
  showSorted();
  const asked = { ...who(), contains: state.find, sort: sort(), superseded: state.replaced === "yes", limit: LIMIT };
  const found = await get("/memories", { ...asked, offset: (page() - 1) * LIMIT, count: total === null }, signal);
  total = found.total ?? total;
  const last = Math.max(Math.ceil(total / LIMIT), 1);
  if (page() > last) {
    show({ page: String(last) });
    return list();
  }
  showMemories(found);
});

function changed() {
  stale = true;
  total = null;
  if (visible()) list();
}

function showAsked() {
  byId("find").value = state.find;
  byId("with-replaced").checked = state.replaced === "yes";
}

function choose(changes) {
  show({ page: "1", ...changes });
  return list();
}

function showMemories(found) {
  const known = rows.size && byId("memories").dataset.asked === asked() ? rows : null;
  const next = new Map();
  for (const memory of found.memories) {
    const { ttl_seconds: ttl, ...fixed } = memory;
    const form = JSON.stringify(fixed);
    const before = rows.get(memory.id);
    const row = before?.form === form ? before.row : tableRow(memory, found.max_tokens);
    const fresh = known !== null && known.get(memory.id)?.memory.hit_count !== memory.hit_count;
    row.classList.toggle("fresh", fresh && row !== before?.row);
    next.set(memory.id, { memory, form, row, until: ttl === null ? null : Date.now() + ttl * 1000 });
  }
  rows = next;
  byId("memories").dataset.asked = asked();
  arrange(byId("memories"), [...rows.values()].map((one) => one.row));
  showCount(found.memories.length);
  showExpiries();
  showToggles();
}

const asked = () => JSON.stringify([who(), state.find, sort(), page(), state.replaced]);

function showCount(here) {
  const first = (page() - 1) * LIMIT + 1;
  const range = `${first.toLocaleString("en")}–${(first + here - 1).toLocaleString("en")} of `;
  const searched = state.find.trim() ? " found" : "";
  byId("memory-count").textContent = `${total > here ? range : ""}${counted(total, "memory")}${searched}`;
  byId("page-before").disabled = page() === 1;
  byId("page-after").disabled = page() * LIMIT >= total;
  byId("pages").hidden = total <= LIMIT;
  byId("no-memories").hidden = here > 0;
  byId("no-memories").textContent = state.find.trim() ? "No memory has all of these words." : "Nothing is remembered here yet.";
}

function showSorted() {
  const [column, direction] = SORTED[sort()];
  for (const button of document.querySelectorAll("#all-memories [data-sort]")) {
    const chosen = button.dataset.sort === column;
    if (chosen) button.closest("th").setAttribute("aria-sort", direction);
    else button.closest("th").removeAttribute("aria-sort");
    button.dataset.arrow = chosen ? { descending: "↓", ascending: "↑" }[direction] : "";
  }
}

function tableRow(memory, maxTokens) {
  const drop = element("button", { type: "button", class: "drop", title: "Delete", "aria-label": `Delete: ${memory.text}` }, "✕");
  drop.addEventListener("click", doing(() => dropMemory(memory)));
  const more = element("button", { type: "button", class: "more", "aria-expanded": "false", hidden: true }, "show all");
  const said = words("span", { class: "words" }, memory.text);
  more.addEventListener("click", () => {
    if (memory.cut) return text.click(); // its life has the whole text
    const open = said.classList.toggle("open");
    more.setAttribute("aria-expanded", String(open));
    more.textContent = open ? "show less" : "show all";
  });
  const text = element("button", { type: "button", class: "text", title: "Its life" }, said);
  const about = [kindBadge(memory.kind), element("span", { class: "expires" }, "never expires", element("span", { class: "ttl" }))];
  if (memory.superseded_by) {
    about.push(element("button", { type: "button", class: "link", "data-memory": memory.superseded_by }, "replaced by another"));
  }
  if (memory.truncated) about.push(element("span", { class: "truncated" }, `only its first ${maxTokens} tokens are searchable by meaning`));
  about.push(more);
  return element(
    "tr",
    { "data-id": memory.id, class: memory.superseded_by ? "replaced" : "" },
    element("td", {}, text, element("div", { class: "meta" }, ...about)),
    element("td", { class: "told" }, since(memory.created_ts)),
    element("td", { class: "number seen" }, `${memory.hit_count + 1}×`),
    element("td", {}, drop),
  );
}

// When each memory expires; returns whether one has.
function showExpiries() {
  let over = false;
  for (const { row, until } of rows.values()) {
    over ||= until !== null && until <= Date.now();
    const left = until === null ? "" : span((until - Date.now()) / 1000);
    const ttl = row.querySelector(".ttl");
    if (ttl.textContent !== left) ttl.textContent = left;
    ttl.previousSibling.data = until === null ? "never expires" : "expires in ";
  }
  return over;
}

// What is too long for its row can be opened.
function showToggles() {
  if (!visible()) return;
  const found = [...rows.values()].map(({ row, memory }) => {
    const said = row.querySelector(".words");
    return [row, memory.cut || said.classList.contains("open") || said.scrollHeight > said.clientHeight + 1];
  });
  for (const [row, long] of found) row.querySelector(".more").hidden = !long;
}

async function dropMemory(memory) {
  const { user } = state;
  const row = byId("memories").querySelector(`[data-id="${CSS.escape(memory.id)}"]`);
  const focused = row?.contains(document.activeElement);
  const next = row?.nextElementSibling ?? row?.previousElementSibling;
  const { dropped, undo } = await post("/drop_memory", { ...here(), id: memory.id });
  if (focused) (next?.querySelector(".drop") ?? byId("find")).focus();
  tell("memories");
  if (dropped) offerUndo(`Deleted: ${memory.text.slice(0, 80)}`, user, undo);
}

byId("find").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    total = null;
    choose({ find: byId("find").value });
  }, TYPING_MS);
});
byId("with-replaced").addEventListener("change", () => {
  total = null;
  choose({ replaced: byId("with-replaced").checked ? "yes" : "" });
});
for (const button of document.querySelectorAll("#all-memories [data-sort]")) {
  button.addEventListener("click", () => choose({ sort: NEXT_SORT[button.dataset.sort](sort()) }));
}
for (const [id, by] of [["page-before", -1], ["page-after", 1]]) {
  byId(id).addEventListener("click", async () => {
    await choose({ page: String(page() + by) });
    byId("all-memories").scrollTop = 0;
  });
}
