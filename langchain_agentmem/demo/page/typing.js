// What the message in the box would recall, before it is sent. Nothing of it is stored.

import { doing } from "/acting.js";
import { byId } from "/dom.js";
import { current, LIVE_VIEWS, ranking } from "/recall.js";
import { post } from "/server.js";
import { on, shown, state, tell, who } from "/state.js";

const PAUSE_MS = 120;
const QUERY_CHARACTERS = 2000; // more than a model reads of a query

const box = byId("say");
let pausing = null;
let looking = new AbortController();

function stop() {
  clearTimeout(pausing);
  looking.abort();
}

const look = doing(async () => {
  stop();
  const query = box.value.slice(0, QUERY_CHARACTERS);
  if (!query.trim() || !LIVE_VIEWS.includes(state.view)) return;
  looking = new AbortController();
  const { signal } = looking;
  const recall = await post("/recall", { ...who(), query, ...ranking() }, signal);
  if (signal.aborted) return;
  shown.typed = recall;
  tell("recall");
});

box.addEventListener("input", () => {
  stop();
  if (box.value.trim()) pausing = setTimeout(look, PAUSE_MS);
  else forget();
});
function forget() {
  if (!shown.typed) return;
  shown.typed = null;
  tell("recall");
}

byId("exchange").addEventListener("submit", stop);
on("exchange", () => {
  stop();
  if (box.value.trim()) look();
});
on("entering", stop);
on("ranking", look);
on("entered", () => {
  if (state.view === "map" && !current()) look(); // a question that waits in the box
});
for (const view of LIVE_VIEWS) on(`view:${view}`, look);
