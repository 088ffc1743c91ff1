// What the page shows, as its URL says it: whose memory, which thread, and what is looked for; and who hears of it.

const DEFAULTS = {
  user: "alice",
  namespace: "default",
  thread: "",
  query: "",
  before: "", // the memory that the query became, and does not recall
  mode: "",
  threshold: "",
  view: "recalled",
  log: "events",
  find: "", // what the table of all memories is searched for
  sort: "newest",
  page: "1",
  replaced: "",
};
const NAMES = Object.keys(DEFAULTS);
const SCOPE = ["user", "namespace", "thread"];
const STEPS = [...SCOPE, "query"]; // what the browser's Back undoes
const MOST_BYTES = 4096; // of an id
const QUERY_SHOWN = 1000; // characters of a query in the URL, which a reload sends to the server
const WRITE_MS = 100; // browsers refuse to note every step of a slider

export const state = { ...DEFAULTS };
export const shown = { about: null, session: null, memories: null, recall: null }; // what the server said last
let writing = null; // the timer that notes what has changed in the URL

// Reads the URL; returns the names whose values are of no use, and became what they are without any.
function read() {
  const given = new URLSearchParams(location.search);
  for (const name of NAMES) state[name] = given.get(name) ?? DEFAULTS[name];
  const whole = history.state?.query;
  if (whole && state.query && whole.startsWith(state.query)) state.query = whole;
  const odd = NAMES.filter((name) => !usable(name, state[name]));
  for (const name of odd) state[name] = DEFAULTS[name];
  return odd;
}

function usable(name, value) {
  if (name === "threshold") return value === "" || (Number(value) >= 0 && Number(value) <= 1 && value.trim() === value);
  if (name === "mode") return ["", "hybrid", "vector", "text"].includes(value);
  if (["user", "namespace"].includes(name) && !value.trim()) return false;
  return name === "query" || new TextEncoder().encode(value).length <= MOST_BYTES;
}

function url() {
  const given = new URLSearchParams();
  for (const name of NAMES) if (state[name] !== DEFAULTS[name]) given.set(name, state[name]);
  if (state.query.length > QUERY_SHOWN) given.set("query", state.query.slice(0, QUERY_SHOWN).replace(/[\uD800-\uDBFF]$/, ""));
  const query = given.toString();
  return query ? `?${query}` : location.pathname;
}

function write() {
  clearTimeout(writing);
  if (writing !== null) history.replaceState({ query: state.query }, "", url());
  writing = null;
}

// Changes what is shown. Another user, namespace, thread or query is a step, which the browser's Back undoes.
export function show(changes, { step = true } = {}) {
  const to = { ...state, ...changes };
  if (to.query !== state.query && !("before" in changes)) to.before = "";
  if (step && STEPS.some((name) => to[name] !== state[name])) {
    write();
    Object.assign(state, to);
    history.pushState({ query: state.query }, "", url());
  } else {
    Object.assign(state, to);
    clearTimeout(writing);
    writing = setTimeout(write, WRITE_MS);
  }
}

export function newThread() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const who = () => ({ user: state.user, namespace: state.namespace });
export const here = () => ({ user: state.user, thread: state.thread });

// What a browser keeps for this page, if it lets the page keep anything: a tab's own, or that of all tabs.
const stores = { tab: () => sessionStorage, all: () => localStorage };
export function keep(where, name, value) {
  try {
    stores[where]().setItem(`agentmem-demo-${name}`, value);
  } catch {
    // not allowed, or full: then it lasts as long as the page does
  }
}
export function kept(where, name) {
  try {
    return stores[where]().getItem(`agentmem-demo-${name}`);
  } catch {
    return null;
  }
}

// Whoever shows a part of the page listens here for what the others found out.
const listeners = new Map();
export function on(name, hear) {
  listeners.set(name, [...(listeners.get(name) ?? []), hear]);
}
export function tell(name, data) {
  for (const hear of listeners.get(name) ?? []) hear(data);
}

addEventListener("pagehide", write);
addEventListener("popstate", () => {
  clearTimeout(writing);
  writing = null;
  const before = { ...state };
  read();
  if (NAMES.every((name) => state[name] === before[name])) return; // a jump within the page
  tell("travelled", { elsewhere: SCOPE.some((name) => state[name] !== before[name]) });
});
export const odd = read();
