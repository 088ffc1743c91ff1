// What the last exchange has changed, tier by tier; and what may be done about it.

import { doing } from "/acting.js";
import { byId, counted, element, milliseconds, words } from "/dom.js";
import { post } from "/server.js";
import { here, shown, state, tell } from "/state.js";
import { offerUndo } from "/undo.js";

const TIERS = { working: 1, long_term: 2, events: 3 };
const BECAUSE = {
  question: "a question",
  request: "a request",
  greeting: "a greeting",
  thanks: "thanks",
  farewell: "a goodbye",
  small_talk: "small talk",
  declined: "nothing in it to keep",
  off: "you chose “skip”",
  unusable: "too long, or no text",
  failed: "storing it failed",
};

export function changes({ fate, failures, recall, messages, events, trace }) {
  const recalled = recall.memories.filter((one) => one.recalled).length;
  const trips = trace.round_trips.length;
  return [
    element(
      "p",
      { class: "chips" },
      chip("working", messages === null ? "not written" : `+${counted(messages, "message")}`, showExchange, "Show them"),
      chip("long_term", `${counted(recalled, "memory")} recalled`, () => showTab("tab-recalled"), "Show what was recalled, and why"),
      fateChip(fate),
      chip("events", `+${counted(events, "event")}`, () => showTab("tab-events"), "Show the event log"),
      chip("", `${counted(trips, "round trip")} · ${milliseconds(trace.redis_ms)}`, () => showTab("tab-commands"), "Show the commands"),
    ),
    ...nearLine(fate),
    ...failures.map((failure) => element("p", { class: "failure" }, failure)),
  ];
}

function chip(tier, what, go, title) {
  const made = element("button", { type: "button", class: "chip", title }, ...badge(tier), element("span", {}, what));
  made.addEventListener("click", doing(go));
  return made;
}

const badge = (tier) => (tier ? [element("i", { class: `tier ${tier}` }, String(TIERS[tier]))] : []);

function fateChip({ what, id, text, hit_count, because }) {
  if (what === "not remembered") {
    return element("span", { class: "chip" }, ...badge("long_term"), element("span", {}, `not remembered: ${BECAUSE[because] ?? because}`));
  }
  const seen = hit_count ? ` (seen again ${hit_count}×)` : "";
  const told = what === "stored" ? [element("b", {}, "+1 memory"), " stored"] : [element("b", {}, "the same as "), words("q", {}, text ?? "a memory"), seen];
  return element("button", { type: "button", class: "chip", title: "Show its life", "data-memory": id }, ...badge("long_term"), element("span", {}, ...told));
}

// What is near enough to be recalled for it may be what is no longer true.
function nearLine({ what, id, near }) {
  if (what !== "stored" || !near || near.distance > shown.about.recall_threshold) return [];
  const line = element("p", { class: "near" });
  const button = element("button", { type: "button", title: "The older one is kept, and no longer recalled" }, "Replace it");
  button.addEventListener("click", doing(async () => {
    button.disabled = true;
    try {
      const { user } = state;
      const { replaced, undo } = await post("/replace", { ...here(), id: near.id, by: id });
      line.replaceChildren(...(replaced ? [element("b", {}, "replaces "), words("q", {}, near.text)] : ["It is gone by now."]));
      tell("memories");
      tell("refresh");
      if (undo) offerUndo(`“${near.text}” was replaced.`, user, undo);
    } finally {
      button.disabled = false;
    }
  }));
  line.append("near ", words("q", { title: `${near.text} (cosine distance ${near.distance.toFixed(2)})` }, near.text), " ", button);
  return [line];
}

function showTab(id) {
  byId(id).click();
  byId(id).closest(".panel").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function showExchange() {
  const [asked] = [...byId("window").querySelectorAll("li.user")].slice(-1);
  asked?.scrollIntoView({ block: "nearest", behavior: "smooth" });
}
