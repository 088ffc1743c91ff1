// 3: what each exchange sent to Redis, command by command, and where its time went.

import { doing } from "/acting.js";
import { copy, pasteable } from "/copy.js";
import { byId, counted, element, milliseconds, words } from "/dom.js";
import { purpose, reads } from "/explained.js";
import { keep, kept, on, shown, state } from "/state.js";

const KEPT = 20;
const TIERS = [["working", "1", "Working memory"], ["long_term", "2", "Long-term memory"], ["events", "3", "Event log"], ["tasks", "", "Background tasks"], [null, "", "Server"]];
const PHASES = { embed: "Embed the words, once", read: "Read", model: "The chain answers", write: "Write" };
const view = byId("log-commands");
let { whose, turns } = { whose: "", turns: [], ...JSON.parse(kept("tab", "commands") ?? "{}") }; // oldest first: { question, trace }
let at = Math.max(turns.length - 1, 0);

on("entering", () => {
  if (whose !== state.user) [turns, at] = [[], 0]; // another one's commands are nobody else's to see
  whose = state.user;
  draw();
});

on("exchange", ({ recall, trace }) => {
  turns = [...turns, { question: recall.query, trace }].slice(-KEPT);
  at = turns.length - 1;
  keep("tab", "commands", JSON.stringify({ whose, turns }));
  draw();
});

function draw() {
  const turn = turns[at];
  if (!turn) {
    return view.replaceChildren(
      element("p", { class: "none" }, "Say something to see what it sends to Redis: every command, whole, with its time."),
      reaching(),
    );
  }
  const steps = timeline(turn.trace);
  view.replaceChildren(walker(turn), summary(turn.trace), bar(steps), element("ol", { class: "steps" }, ...steps.map(drawnStep)), reaching());
}

// The parts of an exchange in their order: embed, read, model, write.
function timeline({ round_trips, embedding_ms, model_ms }) {
  const trips = round_trips.map((trip, index) => ({ phase: reads(trip) ? "read" : "write", ms: trip.ms, trip, number: index + 1 }));
  const answered = trips.findIndex(({ phase }) => phase === "write");
  const model = model_ms === null ? [] : [{ phase: "model", ms: model_ms }];
  if (answered < 0) return [{ phase: "embed", ms: embedding_ms }, ...trips, ...model];
  return [{ phase: "embed", ms: embedding_ms }, ...trips.slice(0, answered), ...model, ...trips.slice(answered)];
}

function walker({ question }) {
  const go = (by, label, sign) => {
    const button = element("button", { type: "button", "aria-label": label, title: label, disabled: !turns[at + by], id: `commands-${by < 0 ? "earlier" : "later"}` }, sign);
    button.addEventListener("click", () => {
      at += by;
      draw();
      byId(button.id).focus();
    });
    return button;
  };
  return element(
    "div",
    { class: "walker" },
    go(-1, "The exchange before", "‹"),
    element("span", { class: "fact" }, `${at + 1} of ${turns.length}`),
    go(1, "The next exchange", "›"),
    words("q", { title: question }, question),
  );
}

function summary({ round_trips, redis_ms }) {
  const trips = round_trips.length;
  const two = trips === 2 ? ": one reads everything, one writes everything." : ".";
  return element("p", { class: "summary" }, element("b", {}, counted(trips, "round trip")), ` to Redis in ${milliseconds(redis_ms)}${two}`);
}

function bar(steps) {
  const told = steps.map(({ phase, ms }) => `${phase} ${milliseconds(ms)}`);
  const parts = steps.map(({ phase, ms }) => {
    const part = element("span", { class: phase, title: `${PHASES[phase]}: ${milliseconds(ms)}` });
    part.style.flexGrow = Math.max(ms, 0.01);
    return part;
  });
  const legend = steps.map(({ phase }, index) => element("li", {}, element("i", { class: phase }), told[index]));
  return element(
    "div",
    { class: "times" },
    element("div", { class: "time-bar", "aria-hidden": "true" }, ...parts),
    element("ul", { class: "legend" }, ...legend),
  );
}

function drawnStep({ phase, ms, trip, number }) {
  const took = element("span", { class: "fact" }, milliseconds(ms));
  if (!trip) return element("li", { class: `step ${phase}` }, element("div", { class: "step-line" }, element("h3", {}, PHASES[phase]), took));
  const all = copier("Copy all", () => pasteable(trip.commands.map(({ text }) => text)), `the ${counted(trip.commands.length, "command")} of round trip ${number}`);
  const failed = trip.failed ? [element("b", { class: "failure" }, "failed")] : [];
  return element(
    "li",
    { class: `step trip ${phase}` },
    element("div", { class: "step-line" }, element("h3", {}, `Round trip ${number}: ${phase}`), took, ...failed, all),
    ...TIERS.flatMap((tier) => ofTier(tier, trip.commands)),
  );
}

function ofTier([tier, number, name], commands) {
  const own = commands.filter((command) => command.tier === tier);
  if (!own.length) return [];
  const badge = number ? [element("i", { class: `tier ${tier}` }, number)] : [];
  return [element("section", { class: `by-tier ${tier ?? ""}` }, element("h4", {}, ...badge, name), ...own.map(drawnCommand))];
}

function drawnCommand(command) {
  const { name, script, text, short, reply } = command;
  const whole = element("pre", { tabIndex: 0 });
  const details = element(
    "details",
    { class: "command" },
    element(
      "summary",
      {},
      element("b", {}, script ? `${name} ${script}` : name),
      element("span", { class: "reply" }, `→ ${reply}`),
      element("span", { class: "purpose" }, purpose(command)),
      element("code", { class: "short" }, short.replace(/\b([0-9a-f]{8})[0-9a-f]{24}\b/g, "$1…")),
    ),
    whole,
  );
  details.addEventListener("toggle", () => {
    whole.textContent = details.open ? text : "";
  });
  return element("div", { class: "command-row" }, details, copier("Copy", () => pasteable([text]), script ?? name));
}

function copier(label, text, what) {
  const button = element("button", { type: "button", class: "copy", title: `Copy ${what} for redis-cli` }, label);
  button.addEventListener("click", doing(() => copy(text(), what)));
  return button;
}

// How to get to where the commands can be pasted.
function reaching() {
  const { redis_cli } = shown.about;
  const own = redis_cli.startsWith("agentmem");
  return element(
    "p",
    { class: "reaching" },
    own ? "This Redis is private. Its URL, for redis-cli -u, is told by " : "Reach it by ",
    element("code", {}, redis_cli),
  );
}
