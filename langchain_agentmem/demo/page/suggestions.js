// What a newcomer may say next: a walk through what the memory does, step by step.

import { element, words } from "/dom.js";
import { keep, kept, newThread, on, show, shown, state, tell } from "/state.js";

const AT_FIRST = 4;
const said = new Map(); // by user and namespace, what was said since the page was opened
const whose = () => JSON.stringify([state.user, state.namespace]);

export const typedBefore = () => kept("all", "typed") !== null;
export const hasTyped = () => keep("all", "typed", "1");

export function noteSaid(text) {
  said.set(whose(), [...(said.get(whose()) ?? []), text]);
}

function walk() {
  const { about } = shown;
  const has = state.user === about.samples_user && state.namespace === about.samples_namespace;
  const steps = about.walks[has ? "samples" : "empty"];
  return steps.map(([label, text], at) => ({ label, text, elsewhere: at === steps.length - 1 }));
}

// The steps behind the last one that was taken.
function stepsLeft() {
  const steps = walk();
  const window = (shown.session?.turns ?? []).filter(({ role }) => role === "user").map(({ content }) => content);
  const done = [...window, ...(said.get(whose()) ?? [])];
  const taken = new Set(steps.filter(({ text }) => done.includes(text)));
  const last = steps.findLastIndex((step) => taken.has(step));
  return steps.slice(last + 1);
}

// Where a thread may begin: after the last step, with the first one again.
function beginnings() {
  const left = stepsLeft();
  return (left.length ? left : walk()).slice(0, AT_FIRST);
}

export const firstQuestion = () => beginnings()[0].text;

// The next step; after words of one's own that were stored, to say them again.
export function nextStep(happened) {
  const text = happened?.recall.query;
  const own = happened?.fate.what === "stored" && !walk().some((step) => step.text === text);
  return own ? { label: "Say it again", text } : stepsLeft()[0];
}

export function invitation(say) {
  return element(
    "div",
    { class: "invitation" },
    element("p", {}, "Talk, and watch what is remembered, where, and why. Begin with one of these:"),
    element("ol", { class: "suggestions" }, ...beginnings().map((step) => element("li", {}, suggestion(step, say)))),
  );
}

export function suggestion(step, say) {
  const button = element("button", { type: "button", class: "suggestion" }, element("small", {}, step.label), words("span", {}, step.text));
  button.addEventListener("click", () => {
    if (!step.elsewhere || !shown.session) return say(step.text);
    const thread = newThread();
    waiting = { thread, say: () => say(step.text) };
    show({ thread, query: "" });
    tell("enter");
  });
  return button;
}

// What is said in a new thread as soon as it is shown.
let waiting = null;
on("session", () => {
  if (!waiting) return;
  if (waiting.thread === state.thread) queueMicrotask(waiting.say);
  waiting = null;
});
