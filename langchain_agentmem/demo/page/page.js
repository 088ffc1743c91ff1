// The page as a whole: whose memory and which thread it shows, and what every part of it needs to know.

import "/bring.js";
import "/commands.js";
import "/compare.js";
import "/conversation.js";
import "/draft.js";
import "/life.js";
import "/log.js";
import "/map.js";
import "/memories.js";
import "/recall.js";
import "/replay.js";
import "/tabs.js";
import "/theme.js";
import "/tiers.js";
import "/typing.js";
import { doing, onToken, problem } from "/acting.js";
import { lost } from "/away.js";
import { byId, counted, element } from "/dom.js";
import { follow, get, keepToken, post, Refused } from "/server.js";
import { here, newThread, odd, on, show, shown, state, tell } from "/state.js";
import { note, offerUndo } from "/undo.js";

let following = new AbortController();
let refreshing = null; // the timer of a refresh to come
let unfinished = null; // what is done again when the server is back
let lastEvent = ""; // the id of the last event that is shown

// Enters the thread of the state; what was shown of another one is told to go first.
async function enter() {
  if (!state.thread) show({ thread: newThread() }, { step: false });
  following.abort();
  following = new AbortController();
  unfinished = enter;
  const { signal } = following;
  byId("user").value = state.user;
  byId("namespace").value = state.namespace;
  tell("entering");
  document.querySelector("main").inert = true; // what is typed now would go to the thread before
  try {
    await entered(signal);
    if (!signal.aborted) unfinished = null;
  } finally {
    if (!signal.aborted) document.querySelector("main").inert = false;
  }
  if (!signal.aborted) tell("entered");
}

async function entered(signal) {
  let seen;
  try {
    seen = await get("/state", here(), signal);
  } catch (error) {
    if (error.status !== 403) throw error;
    return enterAnother();
  }
  if (signal.aborted) return;
  takeSession(seen);
  lastEvent = seen.events[0]?.id ?? "";
  tell("events", seen.events.toReversed());
  tell("memories");
  await listThreads();
  let wasLive = true;
  follow(here(), lastEvent, {
    signal,
    onEvent: (event) => {
      lastEvent = event.id;
      tell("event", event);
      refreshSoon("sessions");
    },
    onChanged: refreshSoon,
    onState: (live) => {
      showLive(live);
      if (live && !wasLive) ["sessions", "memories"].forEach(refreshSoon);
      wasLive = live;
    },
    onLost: lost,
  }).catch((error) => (error.status === 403 ? enterAnother() : problem(error)));
}

// The thread is somebody else's, by its link or by now.
async function enterAnother() {
  note(`The thread ${state.thread.slice(0, 8)} is another user’s: this is a new one.`);
  show({ thread: newThread(), query: "" }, { step: false });
  await enter();
}

function takeSession(seen) {
  shown.session = seen.session;
  shown.memories = seen.memories;
  tell("session", seen);
}

// What others did is shown in a moment; not during an exchange of ours, whose end shows it anyway, nor on the way
// to another user, who may not see the thread that is left.
const stale = new Set();
function refreshSoon(what) {
  stale.add(what);
  refreshing ??= setTimeout(async () => {
    refreshing = null;
    if (byId("send").disabled || document.querySelector("main").inert) return refreshSoon("sessions");
    const [sessions, memories] = [stale.has("sessions"), stale.has("memories")];
    stale.clear();
    try {
      if (sessions) await refresh();
      if (memories) tell("memories");
    } catch (error) {
      problem(error);
    }
  }, 300);
}

async function refresh() {
  const [asked, last] = [here(), lastEvent];
  const seen = await get("/state", asked);
  if (asked.thread !== state.thread || asked.user !== state.user) return;
  if (last && !seen.events.some(({ id }) => id === last)) return enter(); // everything was removed, by somebody else
  takeSession(seen);
  await listThreads();
}

async function listThreads() {
  const { user } = state;
  const { threads } = await get("/threads", { user });
  if (user !== state.user) return;
  if (!threads.some(({ thread }) => thread === state.thread)) threads.unshift({ thread: state.thread, turn_count: 0 });
  byId("thread").replaceChildren(
    ...threads.map(({ thread, title, turn_count }) =>
      element("option", { value: thread, selected: thread === state.thread }, `${thread.slice(0, 8)} · ${title || (turn_count ? `${turn_count} messages` : "new")}`),
    ),
  );
}

function showLive(on) {
  byId("live").dataset.state = on ? "on" : "off";
  byId("live").textContent = on ? "live" : "offline";
  tell("live", on);
}

async function start() {
  unfinished = start;
  shown.about = await get("/about");
  const { about } = shown;
  byId("reset").hidden = !about.may_reset;
  tell("about", about);
  const useless = odd.splice(0).filter((name) => ["user", "namespace", "thread"].includes(name));
  if (useless.length) note(`The address names no usable ${useless.join(", ")}: this is what there is without.`);
  await enter();
}

// Whose memory, which thread

const changeScope = doing(async () => {
  const [user, namespace] = [byId("user").value.trim(), byId("namespace").value.trim()];
  if (!user || !namespace) throw new Refused(400, "A user and a namespace are needed.");
  if (user === state.user && namespace === state.namespace) return;
  const thread = user === state.user ? state.thread : ""; // a thread is one user's
  show({ user, namespace, thread: thread || newThread(), query: "" });
  await enter();
});

async function goTo(thread) {
  show({ thread, query: "" });
  await enter();
}

// Reset, which says first what it removes

let asking = null; // whose reset is asked about

async function askReset() {
  const { user } = state;
  const { memories, threads, events, items } = await post("/reset", { user, dry_run: true });
  const stored = items ? `, ${counted(items, "item")} of the LangGraph store` : "";
  asking = user;
  const samples = user === shown.about.samples_user ? " The sample memories come back." : "";
  byId("reset-title").textContent = `Remove everything of ${user}?`;
  byId("reset-what").textContent =
    `${counted(memories, "memory")} of every namespace, ${counted(threads, "conversation")}${stored} and ${counted(events, "event")}.${samples} ` +
    `Nobody else loses anything. You can undo it, except for the events${items ? " and the items" : ""}.`;
  byId("ask-reset").showModal();
  byId("reset-no").focus();
}

async function reset() {
  const [user, before, heard] = [asking, state.thread, newThread()];
  byId("ask-reset").close();
  const { undo, unreadable } = await post("/reset", { user, thread: heard });
  if (state.user === user) {
    show({ thread: heard, query: "" });
    await enter();
  }
  const lost = unreadable ? ` ${counted(unreadable, "thing")} could not be read, and will not come back.` : "";
  offerUndo(`Everything of ${user} was removed.${lost}`, user, undo, async () => {
    show({ thread: before, query: "" });
    await enter();
  });
}

on("travelled", doing(({ elsewhere }) => (elsewhere ? enter() : tell("query"))));
on("enter", doing(enter));
on("back", () => {
  if (unfinished) doing(unfinished)();
  else ["sessions", "memories"].forEach(refreshSoon);
});
on("refresh", doing(refresh));
onToken();

byId("scope").addEventListener("submit", changeScope);
byId("user").addEventListener("change", changeScope);
byId("namespace").addEventListener("change", changeScope);
byId("thread").addEventListener("change", doing(() => goTo(byId("thread").value)));
byId("new-thread").addEventListener("click", doing(async () => {
  await goTo(newThread());
  byId("say").focus();
}));
byId("reset").addEventListener("click", doing(askReset));
byId("reset-no").addEventListener("click", () => byId("ask-reset").close());
byId("reset-form").addEventListener("submit", doing(reset));
byId("token-form").addEventListener("submit", doing(async () => {
  keepToken(byId("token").value);
  byId("token").value = "";
  byId("ask-token").close();
  await start();
}));

setInterval(() => tell("tick"), 1000);
addEventListener("resize", () => tell("resized"));
doing(start)();
