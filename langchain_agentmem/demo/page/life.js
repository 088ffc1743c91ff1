// The life of a memory: what became of it, from its first mention on, and what can be done with it.

import { doing } from "/acting.js";
import { byId, element, kindBadge, span, words } from "/dom.js";
import { arrange } from "/keyed.js";
import { get, post } from "/server.js";
import { here, on, show, shown, state, tell, who } from "/state.js";
import { exact, since } from "/times.js";
import { offerUndo } from "/undo.js";

const RECALLS_SHOWN = 4; // in a row, before the rest is folded
const dialog = byId("life");
let open = null; // the id of the memory that is shown
let until = null; // when it expires, in epoch milliseconds
let choice = null; // among which it is to be replaced
let offered = null; // what can be done with it, and with which state of it
let form = ""; // what is shown, to leave it alone as long as it stays so

const close = element("button", { type: "button", class: "quiet", "aria-label": "Close" }, "✕");
close.addEventListener("click", () => dialog.close());
const header = element("header", {}, element("h2", { id: "life-title" }, "The life of a memory"), close);

export async function openLife(id) {
  const life = await get("/life", { user: state.user, id });
  open = id;
  render(life);
  if (dialog.open) return;
  dialog.append(byId("toasts")); // what lies outside a modal dialog cannot be clicked
  dialog.showModal();
}

const refresh = doing(async () => {
  if (!open) return;
  const id = open;
  const life = await get("/life", { user: state.user, id });
  if (open === id) render(life);
});
on("memories", refresh);
on("entering", () => dialog.close());
on("tick", showExpiry);
dialog.addEventListener("close", () => {
  [open, until, choice] = [null, null, null];
  document.body.append(byId("toasts"));
});

function render(life) {
  const { memory, events } = life;
  until = memory?.ttl_seconds == null ? null : Date.now() + memory.ttl_seconds * 1000;
  const now = JSON.stringify([open, life], (name, value) => (name === "ttl_seconds" ? value === null : value));
  if (now === form && dialog.open) return showExpiry();
  form = now;
  const hadFocus = dialog.contains(document.activeElement);
  if (!memory) offered = null;
  else if (offered?.key !== keyOf(memory)) offered = { key: keyOf(memory), node: actions(memory) };
  const choosing = memory && !memory.superseded_by && choice?.of === memory.id ? [choice.list] : [];
  const text = memory?.text ?? events.findLast(({ action }) => action !== "recall" && action !== "replace")?.detail;
  arrange(dialog, [
    header,
    words("blockquote", { tabIndex: 0 }, text ?? "Nothing is known of it any more."),
    ...(memory ? [about(memory)] : []),
    element("ol", { class: "timeline", "aria-label": "What happened" }, ...folded(entries(life))),
    ...(offered ? [offered.node] : []), // the same, so that no click is lost
    ...choosing,
    byId("toasts"),
  ]);
  if (hadFocus && !dialog.contains(document.activeElement)) close.focus();
  showExpiry();
}

const keyOf = (memory) => JSON.stringify([memory.id, memory.superseded_by, memory.ttl_seconds === null]);

function about(memory) {
  const { type } = shown.about.stored.long_term;
  const facts = element("div", { class: "facts" }, kindBadge(memory.kind));
  if (memory.truncated) {
    facts.append(element("span", { class: "truncated" }, `only the first ${memory.max_tokens} tokens of it are searchable by meaning`));
  }
  facts.append(copyable("id", memory.id), copyable(`Redis ${type}`, shown.memories.key.replace("<id>", memory.id)));
  return facts;
}

function copyable(label, value) {
  const copy = element("button", { type: "button", class: "link", "aria-label": `Copy: ${label}` }, "copy");
  copy.addEventListener("click", doing(async () => {
    await navigator.clipboard.writeText(value);
    copy.textContent = "copied";
  }));
  return element("span", { class: "copyable" }, `${label} `, element("code", {}, value), " ", copy);
}

// What happened, oldest first: {ts, what, parts}. What no event tells, the memory itself does.
function entries({ memory, events, replaced_by: by, replaces }) {
  const told = events.map((event) => entry(event, { memory, by, replaces }));
  const happened = (action) => events.some((event) => event.action === action);
  const add = (ts, what, ...parts) => told.push({ ts, what, parts });
  if (memory && !happened("remember")) {
    add(memory.created_ts, "stored", ...(memory.source_thread ? [" in ", threadLink(memory.source_thread)] : []));
  }
  if (memory?.updated_ts && !happened("update")) add(memory.updated_ts, "updated", ": its text was changed");
  const replacing = events.filter((event) => event.action === "replace");
  if (memory?.superseded_by && !replacing.some((event) => event.memory_ids.at(-1) === memory.id)) {
    add(memory.superseded_ts, "replaced by ", memoryLink(memory.superseded_by, by?.text));
  }
  for (const one of replaces) {
    if (!replacing.some((event) => event.memory_ids.at(-1) === one.id)) add(one.superseded_ts, "replaces ", memoryLink(one.id, one.text));
  }
  told.sort((one, other) => one.ts - other.ts);
  const first = told.find(({ what }) => what === "stored");
  if (first && memory?.context) first.parts.push(element("p", { class: "context" }, "said before it: ", words("q", {}, memory.context)));
  const untold = (memory?.hit_count ?? 0) - events.filter(({ action }) => action === "merge").length;
  if (untold > 0) told.push({ ts: null, what: `said again ${untold === 1 ? "once" : `${untold} times`}`, parts: [" besides, which no event of this user tells"] });
  if (memory && !memory.superseded_by) told.push({ ts: null, what: "expires", parts: [element("span", { class: "until" })] });
  return told;
}

function entry(event, { memory, by, replaces }) {
  const made = { ts: event.ts, what: event.action, parts: [" in ", threadLink(event.thread)] };
  const said = () => made.parts.push(": ", words("q", {}, event.detail));
  if (event.action === "remember") [made.what] = ["stored", said()];
  else if (event.action === "merge") [made.what] = ["said again", said()];
  else if (event.action === "recall") {
    made.what = "recalled";
    if (event.question) made.parts.unshift(" for ", words("q", {}, event.question));
  } else if (event.action === "replace") {
    const [newer, older] = [event.memory_ids[0], event.memory_ids.at(-1)];
    const isOld = older === memory?.id || older === open;
    made.what = isOld ? "replaced by " : "replaces ";
    made.parts.unshift(isOld ? memoryLink(newer, by?.text) : memoryLink(older, replaces.find((one) => one.id === older)?.text ?? event.detail));
  } else made.what = { delete: "deleted", restore: "brought back", keep: "kept from expiring", update: "updated" }[event.action] ?? event.action;
  return made;
}

function threadLink(thread) {
  const title = [...byId("thread").options].find((option) => option.value === thread)?.text;
  const link = element("button", { type: "button", class: "link", title: "Go to this thread" }, thread === state.thread ? "this thread" : `thread ${title ?? thread.slice(0, 8)}`);
  link.addEventListener("click", () => {
    dialog.close();
    if (thread === state.thread) return;
    show({ thread, query: "" });
    tell("enter");
  });
  return link;
}

const memoryLink = (id, text) => words("button", { type: "button", class: "link", "data-memory": id }, text ?? "another one");

// Recalls in a row are folded, except the first and the last ones.
function folded(all) {
  const items = [];
  for (let at = 0; at < all.length; at++) {
    let end = at;
    while (all[end]?.what === "recalled") end++;
    if (end - at <= RECALLS_SHOWN + 1) {
      items.push(item(all[at]));
      continue;
    }
    const between = all.slice(at + 1, end - 1);
    const more = element("summary", {}, `recalled ${between.length} more times`);
    items.push(item(all[at]), element("li", {}, element("details", {}, more, element("ol", { class: "timeline" }, ...between.map(item)))), item(all[end - 1]));
    at = end - 1;
  }
  return items;
}

function item({ ts, what, parts }) {
  const when = ts === null ? element("time", {}, "") : since(ts);
  return element("li", { class: what.split(" ")[0] }, when, element("div", {}, element("b", {}, what), ...parts));
}

function showExpiry() {
  const told = dialog.querySelector(".until");
  if (!open || !told) return;
  told.textContent = until === null ? " never" : ` in ${span((until - Date.now()) / 1000)}, ${exact(until / 1000)}`;
  if (until !== null && until <= Date.now()) refresh();
}

// What can be done

function actions(memory) {
  const made = element("div", { class: "actions" });
  const button = (label, work, properties = {}) => {
    const one = element("button", { type: "button", ...properties }, label);
    one.addEventListener("click", doing(work));
    made.append(one);
  };
  if (!memory.superseded_by) {
    if (memory.ttl_seconds !== null) button("Keep forever", () => keep(memory));
    button("Replaced by …", () => chooseNewer(memory, made), { id: "replaced-by" });
  }
  button("Delete", () => remove(memory), { class: "delete" });
  return made;
}

async function keep(memory) {
  const { kept, undo } = await post("/keep_memory", { ...here(), id: memory.id });
  if (kept) offerUndo("It no longer expires.", state.user, undo);
  tell("memories");
}

async function remove(memory) {
  const { dropped, undo } = await post("/drop_memory", { ...here(), id: memory.id });
  dialog.close();
  if (dropped) offerUndo(`Deleted: ${memory.text.slice(0, 80)}`, state.user, undo);
  tell("memories");
}

// Chooses among the nearest ones by meaning.
async function chooseNewer(memory, beside) {
  choice?.list.remove();
  const query = memory.text.slice(0, 2_000);
  const { memories } = await post("/recall", { ...who(), query, mode: shown.about.modes.includes("vector") ? "vector" : shown.about.modes[0], threshold: 2 });
  const others = memories.filter((one) => one.id !== memory.id);
  const list = element("ul", { class: "newer", "aria-label": "Which one says it now?" }, element("li", { class: "fact" }, "Which one says it now? The nearest ones:"));
  for (const one of others) {
    const choose = element("button", { type: "button" }, words("span", {}, one.text), element("span", { class: "fact" }, since(one.ts)));
    choose.addEventListener("click", doing(() => replace(memory, one)));
    list.append(element("li", {}, choose));
  }
  if (!others.length) list.append(element("li", { class: "none" }, "There is no other memory."));
  choice = { of: memory.id, list };
  beside.after(list);
  (list.querySelector("button") ?? beside).focus();
  list.scrollIntoView({ block: "nearest" });
}

async function replace(memory, by) {
  const { replaced, undo } = await post("/replace", { ...here(), id: memory.id, by: by.id });
  choice = null;
  if (replaced) offerUndo("It is replaced, and no longer recalled.", state.user, undo);
  tell("memories");
}

// Wherever a memory is shown, its text opens its life.

function memoryOf(target) {
  const link = target.closest?.("[data-memory]");
  if (link) return link.dataset.memory;
  const text = target.closest?.("[data-id] .text");
  return text && !isSelected(text) ? text.closest("[data-id]").dataset.id : null;
}
function isSelected(node) {
  const selection = getSelection();
  return selection.type === "Range" && selection.containsNode(node, true);
}
const opens = doing(({ target }) => openLife(memoryOf(target)));
document.addEventListener("click", (event) => {
  if (event.target === dialog) return dialog.close(); // outside of its box
  if (memoryOf(event.target)) opens(event);
});
document.addEventListener("keydown", (event) => {
  if (event.target.role !== "button" || !["Enter", " "].includes(event.key) || !memoryOf(event.target)) return;
  opens(event);
});
on("recall", () => {
  for (const text of document.querySelectorAll("#recalled [data-id] span.text")) {
    Object.assign(text, { role: "button", tabIndex: 0 });
  }
});
