// 1: working memory. The window, and what is said.

import { doing } from "/acting.js";
import { bubble, waitingBubble } from "/bubbles.js";
import { changes } from "/changed.js";
import { byId, element, span } from "/dom.js";
import { ranking } from "/recall.js";
import { exchange, isAway, post } from "/server.js";
import { here, keep, kept, on, show, shown, state, tell, who } from "/state.js";
import { firstQuestion, hasTyped, invitation, nextStep, noteSaid, suggestion, typedBefore } from "/suggestions.js";

let seen = { session: null, expired: false };
let replayed = null; // the step of the past that the window shows
let ends = null; // when the session expires, in epoch milliseconds
let drawn = ""; // the messages that the window shows
let saying = ""; // the thread in which something is being said
let latest = JSON.parse(kept("tab", "changed") ?? "null"); // the last exchange: its thread, what happened, and how many messages there were then
let unsent = null; // what the server may have got, though it did not answer
const box = byId("say");
const list = byId("window");
const after = byId("after"); // what follows the last answer
const kind = () => document.querySelector("#kinds input:checked").value;

on("about", (about) => {
  const hints = { episodic: "expires after a week", semantic: "never expires", skip: "is not remembered" };
  byId("kinds").append(
    ...about.kinds.map((name, index) =>
      element(
        "label",
        { title: hints[name] ?? "" },
        element("input", { type: "radio", name: "kind", value: name, checked: index === 0 }),
        name,
      ),
    ),
  );
});

on("entering", () => {
  drawn = "";
  byId("changed").replaceChildren();
  byId("next").replaceChildren();
});

on("session", ({ session, expired }) => {
  ends = session?.ttl_seconds == null ? null : Date.now() + session.ttl_seconds * 1000;
  seen = { session, expired };
  if (!replayed) showWindow(session, expired);
  for (const name of ["goal", "scratchpad"]) {
    if (document.activeElement !== byId(name)) byId(name).value = session?.[name] ?? "";
  }
  showTtl();
  if (session) settle(session);
  if (latest?.thread === state.thread && session) countLatest(session.turn_count);
});

on("entered", () => {
  prefill();
  const isLast = latest?.thread === state.thread && latest.count === shown.session?.turn_count;
  if (isLast && !byId("changed").childElementCount) showChanges(latest.happened);
});
on("replay", (step) => {
  replayed = step;
  if (step) showWindow({ ...seen.session, turns: step.messages }, false);
  else showWindow(seen.session, seen.expired);
});

on("tick", () => {
  showTtl();
  if (shown.session && ends !== null && Date.now() >= ends) tell("refresh");
});

function showTtl() {
  const { session } = shown;
  if (!session) byId("ttl").textContent = "no session yet";
  else if (ends === null) byId("ttl").textContent = "never expires";
  else byId("ttl").textContent = ends > Date.now() ? `expires in ${span((ends - Date.now()) / 1000)}` : "expired";
}

// The window is drawn again only if it has changed, so that it does not scroll away from who reads it.
function showWindow(session, expired) {
  const turns = session?.turns ?? [];
  const ever = session?.turn_count ?? 0;
  const limit = shown.about.max_turns;
  byId("window-size").textContent = `${turns.length}${limit ? ` of ${limit}` : ""} messages${ever > turns.length ? `, ${ever} ever` : ""}`;
  const now = JSON.stringify([turns, expired, state.user]);
  if (now === drawn || saying === state.thread) return;
  drawn = now;
  list.replaceChildren(...(turns.length ? turns.map(bubble) : [emptied(expired)]), after);
  toTheEnd();
}

function emptied(expired) {
  const said = expired ? "This conversation has expired. What was remembered of it is still there." : "Nothing said yet in this thread.";
  return element("li", { class: "empty" }, element("p", {}, said), invitation(doingSay));
}

const toTheEnd = () => {
  list.scrollTop = list.scrollHeight;
};

// On a first visit the box holds a question, selected: Enter sends it, and typing replaces it.
function prefill() {
  const untouched = ["", box.dataset.prefilled, firstQuestion()].includes(box.value);
  if (typedBefore() || shown.session || !untouched) return;
  box.value = box.dataset.prefilled = firstQuestion();
  focusBox();
  box.select();
}

// Not where that opens a keyboard on the screen, nor away from something else.
function focusBox() {
  const at = document.activeElement;
  const free = !at || at === document.body || byId("exchange").contains(at);
  if (free && matchMedia("(pointer: fine)").matches) box.focus({ preventScroll: true });
}

// What seemed to be lost was stored and answered after all: it is not to be sent again.
function settle(session) {
  if (unsent?.thread !== state.thread) return;
  const since = session.turns.slice(Math.max(session.turns.length - Math.max(session.turn_count - unsent.ever, 0), 0));
  const at = since.findLastIndex(({ role, content }) => role === "user" && content === unsent.text);
  if (at < 0) return;
  if (since[at + 1] && box.value === unsent.text) box.value = "";
  unsent = null;
  tell("settled");
}

async function say(text) {
  if (!text.trim() || byId("send").disabled) return;
  hasTyped();
  const asked = { ...who(), thread: state.thread, text, kind: kind(), ...ranking() };
  const isHere = () => asked.thread === state.thread; // or meanwhile, another thread is shown
  saying = asked.thread;
  byId("send").disabled = true;
  box.value = "";
  for (const one of list.querySelectorAll(".failed")) one.remove();
  unsent = null;
  const ever = shown.session?.turn_count ?? 0;
  const answer = waitingBubble();
  const mine = bubble({ role: "user", content: text });
  list.querySelector(".empty")?.remove();
  byId("changed").replaceChildren();
  byId("next").replaceChildren();
  after.before(mine, answer.made);
  toTheEnd();
  try {
    const happened = await exchange(asked, (part) => {
      answer.add(part);
      toTheEnd();
    });
    noteSaid(text);
    if (!isHere()) return;
    show({ query: text });
    latest = { thread: asked.thread, happened, count: null };
    showChanges(happened);
    tell("exchange", happened);
  } catch (error) {
    answer.made.remove();
    box.value ||= text;
    if (isAway(error)) {
      mine.classList.add("failed");
      mine.append(element("span", { class: "unanswered" }, "not sent"));
      unsent = { thread: asked.thread, text, ever };
    } else mine.remove();
    throw error;
  } finally {
    answer.made.classList.remove("waiting");
    drawn = saying = ""; // what is stored is drawn in place of what was said
    byId("send").disabled = false;
    focusBox();
    if (isHere() && !unsent) tell("refresh"); // or when the server is back
  }
}

function showChanges(happened) {
  byId("changed").replaceChildren(...changes(happened));
  const next = nextStep(happened);
  if (next) byId("next").replaceChildren(element("span", {}, "Next: "), suggestion(next, doingSay));
  toTheEnd();
}

// Keeps what the last exchange changed for a reload, as long as nothing is said after it.
function countLatest(count) {
  if (latest.count !== null || saying) return;
  latest.count = count;
  keep("tab", "changed", JSON.stringify(latest));
}

const doingSay = (text) => doing(() => say(text))(new Event("suggested"));

for (const name of ["goal", "scratchpad"]) {
  byId(name).addEventListener("change", doing(async () => {
    const { session } = await post("/working", { ...here(), [name]: byId(name).value });
    shown.session = session;
    tell("session", { session, expired: false });
  }));
}
byId("exchange").addEventListener("submit", doing(() => say(box.value)));
box.addEventListener("input", hasTyped);
box.addEventListener("focus", () => {
  if (box.value && box.value === box.dataset.prefilled) box.select();
});
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!byId("send").disabled) byId("exchange").requestSubmit();
  }
});
