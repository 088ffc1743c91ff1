// 2: the same question, answered with and without memory.

import { doing } from "/acting.js";
import { byId, element, words } from "/dom.js";
import { marked } from "/marked.js";
import { post, Refused } from "/server.js";
import { on, shown, state } from "/state.js";
import { ask, asking } from "/recall.js";
import { firstQuestion } from "/suggestions.js";

const LEAST = 4; // letters of a word that is worth marking
const panel = byId("view-compare");

let comparing = new AbortController();
let answered = ""; // the request whose answers are shown
let pending = ""; // the request whose answers are awaited
let sliding = false;

const key = () => JSON.stringify(asking(shown.recall.query));

const compare = doing(async () => {
  if (state.view !== "compare") return;
  if (!shown.recall) return suggest();
  if (key() === (pending || answered)) return;
  if (sliding && shown.about.model) return wait("The model answers again when you let the slider go.");
  comparing.abort();
  comparing = new AbortController();
  const { signal } = comparing;
  const asked = (pending = key());
  if (shown.about.model || !panel.querySelector(".answers")) wait("Answering, twice …");
  try {
    const both = await post("/answers", JSON.parse(asked), signal);
    if (signal.aborted) return;
    answered = asked;
    show(both);
  } catch (error) {
    if (!(error instanceof Refused) || ![400, 502].includes(error.status)) throw error;
    fail(error);
  } finally {
    if (!signal.aborted) pending = "";
  }
});

on("view:compare", compare);
on("recall", compare);
on("slid", () => {
  sliding = false;
  compare();
});
on("memories", () => {
  comparing.abort();
  answered = pending = "";
});
on("entering", () => {
  comparing.abort();
  answered = pending = "";
  panel.replaceChildren();
});
byId("threshold").addEventListener("input", () => (sliding = true), { capture: true });

function suggest() {
  const question = byId("say").value.trim() || firstQuestion();
  const button = words("button", { type: "button" }, question);
  button.addEventListener("click", () => ask(question));
  const told = "Ask something, and it is answered twice: with what is remembered, and without. Nothing of it is stored. For example:";
  panel.replaceChildren(element("div", { class: "suggest" }, element("p", {}, told), button));
}

function wait(why) {
  const shownNow = panel.querySelector(".answers");
  if (!shownNow) return panel.replaceChildren(element("p", { class: "none", role: "status" }, why));
  shownNow.setAttribute("aria-busy", "true");
  shownNow.querySelector(".verdict").textContent = why;
}

function fail(error) {
  answered = "";
  const again = element("button", { type: "button" }, "Try again");
  again.addEventListener("click", compare);
  panel.replaceChildren(element("div", { class: "suggest" }, element("p", { class: "problem", role: "alert" }, error.message), again));
}

function show({ recall, with: remembering, without }) {
  const used = recall.memories.filter(({ recalled }) => recalled);
  const list = used.map((memory) =>
    element("li", { "data-id": memory.id }, words("span", { class: "text" }, memory.text), element("span", { class: "number", title: "Score" }, memory.score?.toFixed(2) ?? "")),
  );
  if (!list.length) list.push(element("li", { class: "fact" }, "no memory"));
  const fromMemory = told(used.map(({ text }) => text), [recall.query, without]);
  panel.replaceChildren(
    element(
      "div",
      { class: "answers", "aria-live": "polite" },
      element(
        "section",
        { class: "remembering" },
        element("h3", {}, "With memory"),
        element("p", { class: "answer with", dir: "auto" }, ...marked(remembering, fromMemory)),
        element("ol", { class: "used", "aria-label": "The memories that are used" }, ...list),
      ),
      element("section", { class: "forgetting" }, element("h3", {}, "Without"), words("p", { class: "answer without" }, without)),
      element("p", { class: "verdict" }, verdict(used, remembering, without)),
    ),
  );
}

function verdict(used, remembering, without) {
  if (!used.length) return "Nothing is recalled, so memory changes nothing. Slide right to recall more.";
  if (remembering === without) return "Both are the same: what is recalled does not answer this.";
  return "Marked: what comes from memory.";
}

// The words of some texts that are not those of others.
function told(texts, others) {
  const split = (all) => all.join(" ").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const known = new Set(split(others));
  return split(texts).filter((word) => word.length >= LEAST && !known.has(word));
}
