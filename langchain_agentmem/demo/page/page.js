// The page: who is talking, in which thread; and what a click or a key does.

import * as panels from "/panels.js";
import { exchange, follow, get, keepToken, post, Refused } from "/server.js";

const byId = (id) => document.getElementById(id);
const KEPT = "agentmem-demo-scope";
const scope = { user: "alice", namespace: "default", thread: "", ...JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") };

let about = null;
let session = null;
let sessionEnds = null;
let recall = null; // what the last query found
let before = null; // the memory the last exchange itself became: an exchange does not recall itself
let refreshing = null; // the timer of a refresh to come
let following = new AbortController();
let recalling = new AbortController();

const mode = () => byId("mode").value;
const farthest = () => (mode() === "vector" ? about.recall_threshold : 1); // by words too, a distance is no limit by itself
// The distance up to which is recalled; null for any.
function threshold() {
  const chosen = Number(byId("threshold").value);
  return mode() === "vector" || (mode() === "hybrid" && chosen < 1) ? chosen : null;
}
const ranking = () => ({ mode: mode(), ...(threshold() === null ? {} : { threshold: threshold() }) });
const kind = () => document.querySelector("#kinds input:checked").value;
const who = () => ({ user: scope.user, namespace: scope.namespace });

function problem(error) {
  if (error.name === "AbortError") return;
  if (error.status === 401) return askForToken();
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
  if (!(error instanceof Refused)) console.error(error);
}

// Runs what a click or a key asks for; what fails is shown, and forgotten with the next success.
function doing(work) {
  return async (event) => {
    event?.preventDefault?.();
    try {
      await work(event);
      byId("problem").hidden = true;
    } catch (error) {
      problem(error);
    }
  };
}

function askForToken() {
  if (!byId("ask-token").open) byId("ask-token").showModal();
}

// State

async function refresh() {
  const asked = { ...who(), thread: scope.thread };
  const state = await get("/state", asked);
  if (asked.thread !== scope.thread || asked.user !== scope.user) return state;
  if (!about) introduce(state.about);
  takeSession(state.session);
  panels.showMemories(state.memories, {
    scope: `${scope.user}\n${scope.namespace}`,
    limit: state.about.memories_shown,
    onDrop: drop,
  });
  byId("reset").disabled = !state.about.may_reset;
  return state;
}

// What others did is shown in a moment; not during an exchange of ours, whose end shows it anyway, nor on the way
// to another user, who may not see the thread that is left.
function refreshSoon() {
  refreshing ??= setTimeout(() => {
    refreshing = null;
    if (byId("send").disabled || entering()) return refreshSoon();
    refresh().catch((error) => {
      if (error.status !== 0) problem(error); // without a server, the page says offline already
    });
  }, 300);
}

function tick() {
  panels.showTtl(session, sessionEnds);
  const over = session && sessionEnds !== null && Date.now() >= sessionEnds;
  if ((panels.showExpiries() || over) && byId("live").dataset.state === "on") refreshSoon();
}

function introduce(settings) {
  about = settings;
  byId("place").textContent = `${about.place} · ${about.model ?? "no model: the answers are what is recalled"}`;
  byId("mode").replaceChildren(...about.modes.map((name) => panels.element("option", { value: name }, name)));
  byId("threshold").value = farthest();
  const hints = { episodic: "expires after a week", semantic: "never expires", skip: "is not remembered" };
  byId("kinds").append(
    ...about.kinds.map((name, index) =>
      panels.element(
        "label",
        { title: hints[name] ?? "" },
        panels.element("input", { type: "radio", name: "kind", value: name, checked: index === 0 }),
        name,
      ),
    ),
  );
  byId("notice").hidden = about.may_reset;
  byId("notice").textContent = "This store holds what the demo did not write: nothing was changed, and Reset is off.";
  showThreshold();
  showRecall();
}

function takeSession(found) {
  session = found;
  sessionEnds = found?.ttl_seconds == null ? null : Date.now() + found.ttl_seconds * 1000;
  panels.showWindow(found, about.max_turns);
  for (const name of ["goal", "scratchpad"]) {
    if (document.activeElement !== byId(name)) byId(name).value = found?.[name] ?? "";
  }
  panels.showTtl(session, sessionEnds);
}

async function listThreads() {
  const { threads } = await get("/threads", { user: scope.user });
  if (!threads.some(({ thread }) => thread === scope.thread)) threads.unshift({ thread: scope.thread, turn_count: 0 });
  byId("thread").replaceChildren(
    ...threads.map(({ thread, title, turn_count }) =>
      panels.element("option", { value: thread, selected: thread === scope.thread }, `${thread.slice(0, 8)} · ${title || (turn_count ? `${turn_count} messages` : "new")}`),
    ),
  );
}

// Whose memory, which thread

const entering = () => document.querySelector("main").inert;

async function enter(thread) {
  document.querySelector("main").inert = true; // what is typed now would go to the thread before
  try {
    await enterNow(thread);
  } finally {
    document.querySelector("main").inert = false;
  }
}

async function enterNow(thread) {
  scope.thread = thread ?? (await post("/new_thread", { user: scope.user })).thread;
  sessionStorage.setItem(KEPT, JSON.stringify(scope));
  following.abort();
  following = new AbortController();
  const { signal } = following;
  const state = await refresh();
  panels.clearEvents();
  for (const event of state.events.toReversed()) panels.addEvent(event, { fresh: false });
  await listThreads();
  let wasLive = true;
  const onEvent = (event) => {
    panels.addEvent(event);
    refreshSoon();
  };
  const onState = (live) => {
    panels.showLive(live);
    if (live && !wasLive) refreshSoon();
    wasLive = live;
  };
  follow({ user: scope.user, thread: scope.thread }, state.events[0]?.id ?? "", { signal, onEvent, onState }).catch(problem);
}

function forgetQuery() {
  [recall, before] = [null, null];
  showRecall();
  panels.showCost(null);
  byId("fate").replaceChildren();
}

const changeScope = doing(async () => {
  const [user, namespace] = [byId("user").value.trim(), byId("namespace").value.trim()];
  if (!user || !namespace) throw new Refused(400, "A user and a namespace are needed.");
  if (user === scope.user && namespace === scope.namespace) return;
  const other = user !== scope.user;
  Object.assign(scope, { user, namespace });
  forgetQuery();
  await enter(other ? null : scope.thread); // a thread is one user's
});

async function start() {
  byId("user").value = scope.user;
  byId("namespace").value = scope.namespace;
  forgetQuery();
  try {
    await enter(scope.thread || null);
  } catch (error) {
    if (error.status !== 403) throw error;
    await enter(null); // somebody else has that thread by now
  }
}

// An exchange

async function say() {
  const text = byId("say").value;
  if (!text.trim()) return;
  const asked = { ...who(), thread: scope.thread, text, kind: kind(), ...ranking() };
  byId("send").disabled = true;
  byId("say").value = "";
  panels.addBubble("user", text);
  const answer = panels.addBubble("assistant", "", true);
  try {
    const happened = await exchange(asked, (part) => {
      answer.append(part);
      byId("window").scrollTop = byId("window").scrollHeight;
    });
    if (asked.thread !== scope.thread) return; // meanwhile, another thread is shown
    [recall, before] = [happened.recall, happened.fate.what === "stored" ? happened.fate.id : null];
    showRecall();
    panels.showCost(happened.cost);
    panels.showFate(happened.fate, happened.failures);
  } catch (error) {
    byId("say").value ||= text;
    throw error;
  } finally {
    answer.classList.remove("waiting");
    byId("send").disabled = false;
    byId("say").focus();
    if (asked.thread === scope.thread) await refresh();
  }
  await listThreads();
}

// Recall

function showThreshold() {
  byId("threshold-value").textContent = threshold()?.toFixed(2) ?? "any distance";
  byId("threshold").disabled = mode() === "text";
}

function showRecall() {
  panels.showQuery(recall);
  panels.showRecalled(recall, threshold());
  panels.showChart(recall, threshold());
}

const recallAgain = doing(async () => {
  showThreshold();
  showRecall();
  if (!recall) return;
  recalling.abort();
  recalling = new AbortController();
  const asked = { ...who(), query: recall.query, ...ranking(), ...(before === null ? {} : { before }) };
  recall = await post("/recall", asked, recalling.signal);
  showRecall();
});

async function drop(memory) {
  await doing(async () => {
    await post("/drop_memory", { user: scope.user, id: memory.id });
    await refresh();
    await recallAgain();
  })();
}

async function reset() {
  if (!confirm("Delete everything that was said here, whoever said it, and begin with the sample memories again?")) return;
  await post("/reset", {});
  forgetQuery();
  await enter(null);
}

// Wiring

function note(name) {
  byId(name).addEventListener(
    "change",
    doing(async () => takeSession((await post("/working", { user: scope.user, thread: scope.thread, [name]: byId(name).value })).session)),
  );
}

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("agentmem-demo-theme", root.dataset.theme);
}

const theme = localStorage.getItem("agentmem-demo-theme");
if (theme) document.documentElement.dataset.theme = theme;
byId("theme").addEventListener("click", switchTheme);
byId("scope").addEventListener("submit", changeScope);
byId("user").addEventListener("change", changeScope);
byId("namespace").addEventListener("change", changeScope);
byId("thread").addEventListener("change", doing(async () => { forgetQuery(); await enter(byId("thread").value); }));
byId("new-thread").addEventListener("click", doing(async () => { forgetQuery(); await enter(null); byId("say").focus(); }));
byId("reset").addEventListener("click", doing(reset));
byId("threshold").addEventListener("input", recallAgain);
byId("mode").addEventListener("change", () => {
  byId("threshold").value = farthest();
  recallAgain();
});
note("goal");
note("scratchpad");
byId("exchange").addEventListener("submit", doing(say));
byId("say").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!byId("send").disabled) byId("exchange").requestSubmit();
  }
});
byId("token-form").addEventListener("submit", doing(async () => {
  keepToken(byId("token").value);
  byId("token").value = "";
  byId("ask-token").close();
  await start();
}));
setInterval(tick, 1000);
addEventListener("resize", () => panels.showChart(recall, threshold()));
doing(start)();
