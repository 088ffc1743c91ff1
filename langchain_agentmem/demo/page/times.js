// Times as people say them; the exact one is in the title.

import { dated, element } from "/dom.js";
import { on } from "/state.js";

const STEPS = [["min", 60], ["h", 3600], ["d", 86400]];
const RECENT = 30 * 86400;

function ago(seconds) {
  const when = dated(seconds);
  if (!when) return "–";
  const past = Date.now() / 1000 - seconds;
  if (past >= RECENT || past < -60) return when.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
  const [unit, size] = STEPS.findLast(([, size]) => past >= size) ?? [];
  return unit ? `${Math.floor(past / size)} ${unit} ago` : "just now";
}

export const exact = (seconds) => dated(seconds)?.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" }) ?? "";
export const clock = (seconds) => dated(seconds)?.toLocaleTimeString([], { hour12: false }) ?? "–";

export function since(seconds, properties = {}) {
  const when = dated(seconds);
  const made = element("time", { title: exact(seconds), ...properties }, ago(seconds));
  if (!when) return made;
  made.dateTime = when.toISOString();
  made.dataset.since = seconds;
  return made;
}

on("tick", () => {
  for (const one of document.querySelectorAll("time[data-since]")) {
    const now = ago(Number(one.dataset.since));
    if (one.textContent !== now) one.textContent = now;
  }
});
