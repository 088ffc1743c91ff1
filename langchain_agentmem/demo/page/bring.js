// Bring your own: a file that is chosen, or dropped on the page, is imported into a scope of its own.

import { doing, problem } from "/acting.js";
import { byId, counted, element, span, words } from "/dom.js";
import { get, imported, isAway, post } from "/server.js";
import { newThread, show, shown, tell } from "/state.js";
import { note, offerUndo } from "/undo.js";

const NAMESPACE = "default";
const PROBLEMS_SHOWN = 50;
const LOOKED_AT = 64 * 1024; // bytes of a file, to see what it is
const NAMED_BY = { "chatgpt export": ["chat.html", "message_feedback", '"mapping"'], "claude export": ["projects.json", "users.json", '"chat_messages"'] };

let file = null;
let importing = null; // what stops it

function open() {
  if (importing) return;
  byId("import-form").reset();
  file = null;
  running(false);
  for (const id of ["import-said", "import-had"]) byId(id).textContent = "";
  for (const id of ["import-failed", "import-problems"]) byId(id).hidden = true;
  byId("import-no").textContent = "Cancel";
  byId("import-yes").hidden = false;
  if (!byId("ask-import").open) byId("ask-import").showModal();
}

function running(yes) {
  byId("import-progress").hidden = !yes;
  byId("import-progress").removeAttribute("value");
  for (const id of ["import-file", "import-user", "import-yes"]) byId(id).disabled = yes;
}

function failed(reason) {
  byId("import-failed").textContent = reason;
  byId("import-failed").hidden = false;
}

async function choose(given) {
  for (const id of ["import-failed", "import-problems"]) byId(id).hidden = true;
  file = given;
  if (!given) return;
  try {
    byId("import-user").value = await nameOf(given);
  } catch {
    file = null;
    return failed("That cannot be read. Choose a file, not a folder.");
  }
  await showHad();
  byId("import-user").select();
}

// What a file is called after: what it seems to be, or else its name.
async function nameOf(given) {
  const parts = [given.slice(0, LOOKED_AT), given.slice(-LOOKED_AT)]; // a zip lists what it holds at its end
  const text = (await Promise.all(parts.map((part) => part.text()))).join("");
  const known = Object.keys(NAMED_BY).find((name) => NAMED_BY[name].some((mark) => text.includes(mark)));
  return known ?? (given.name.replace(/\.[^.]*$/, "").trim().slice(0, 200) || "imported");
}

async function showHad() {
  const user = byId("import-user").value.trim();
  byId("import-had").textContent = "";
  if (!user) return;
  const { memories, threads } = await post("/reset", { user, dry_run: true });
  if (user !== byId("import-user").value.trim() || !(memories || threads)) return;
  const had = `${user} has ${counted(memories, "memory")} and ${counted(threads, "conversation")} already: they stay.`;
  byId("import-had").textContent = `${had} Such an import cannot be undone.`;
}

async function start() {
  const user = byId("import-user").value.trim();
  if (!file || !user || importing) return;
  byId("import-failed").hidden = true;
  const most = shown.about.max_import_bytes;
  if (file.size > most) return failed(`The file has more than ${(most / 2 ** 20).toLocaleString("en")} MB: use agentmem import.`);
  importing = new AbortController();
  running(true);
  byId("import-said").textContent = "Reading the file …";
  const done = { undo: null, report: null, progress: null };
  try {
    await run(user, done, importing.signal);
    await finished(user, done);
  } catch (error) {
    if (importing.signal.aborted) stopped(user, done);
    else if (isAway(error)) {
      problem(error);
      failed("The server went away. What was imported stays: import the file again, and it goes on from there.");
    } else failed(error.message);
  } finally {
    importing = null;
    running(false);
  }
}

async function run(user, done, signal) {
  const asked = { user, namespace: NAMESPACE, plain: /\.txt$/i.test(file.name) };
  for await (const { name, data } of imported(file, asked, signal)) {
    done[name === "began" ? "undo" : name] = name === "began" ? data.undo : data;
    if (name === "progress") showProgress(data);
  }
  if (!done.report) throw new Error("The import broke off. Import the file again: it goes on from there.");
}

function showProgress({ done, total, messages, memories }) {
  const bar = byId("import-progress");
  if (total) [bar.max, bar.value] = [total, done];
  byId("import-said").textContent = `${counted(messages, "message")} and ${counted(memories, "memory")} so far`;
}

async function finished(user, { undo, report }) {
  listProblems(report.problems);
  const { messages, memories, known, merged } = report;
  if (!(messages || memories || known || merged)) {
    byId("import-said").textContent = "";
    return failed("Nothing in this file can be imported. Is it an export, JSON lines, or a .txt with a memory per line?");
  }
  const what = `${sentence(report)} for ${user}.${expiring(report)}`;
  byId("import-said").textContent = what;
  byId("import-yes").hidden = true;
  byId("import-no").textContent = "Close";
  if (!report.problems.length) byId("ask-import").close();
  await showUser(user);
  tellDone(what, user, undo, report);
}

function sentence({ messages = 0, memories = 0 }) {
  const told = [messages ? counted(messages, "message") : "", memories ? counted(memories, "memory") : ""].filter(Boolean);
  if (!told.length) return "Nothing new was imported";
  return `${told.join(" and ")} ${messages + memories === 1 ? "was" : "were"} imported`;
}

function expiring({ messages }) {
  const { session_ttl_seconds: seconds } = shown.about;
  return messages && seconds ? ` The conversations expire in ${span(seconds)}, unless something is said in them; the memories stay.` : "";
}

function listProblems(problems) {
  const shown = problems.slice(0, PROBLEMS_SHOWN).map((one) => words("li", {}, one));
  if (problems.length > shown.length) shown.push(element("li", {}, `and ${(problems.length - shown.length).toLocaleString("en")} more`));
  byId("import-problems").replaceChildren(...shown);
  byId("import-problems").hidden = !shown.length;
}

function stopped(user, { undo, progress }) {
  byId("ask-import").close();
  const what = `Stopped. ${sentence(progress ?? {})} for ${user}.`;
  tellDone(what, user, undo, progress);
}

function tellDone(what, user, undo, { messages, memories } = { messages: 0, memories: 0 }) {
  if (undo && (messages || memories)) offerUndo(what, user, undo, () => tell("enter"));
  else note(what);
}

// Shows what was imported: the user's latest conversation.
async function showUser(user) {
  const { threads } = await get("/threads", { user });
  const latest = threads.find(({ thread }) => thread.startsWith(`${user}/`));
  show({ user, namespace: NAMESPACE, thread: latest?.thread ?? newThread(), query: "" });
  tell("enter");
}

const dialog = byId("ask-import");
byId("bring").addEventListener("click", open);
byId("import-file").addEventListener("change", doing(() => choose(byId("import-file").files[0])));
byId("import-user").addEventListener("change", doing(showHad));
byId("import-form").addEventListener("submit", doing(start));
byId("import-no").addEventListener("click", () => (importing ? importing.abort() : dialog.close()));
dialog.addEventListener("cancel", (event) => {
  if (!importing) return;
  event.preventDefault();
  importing.abort();
});

const hasFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  document.body.dataset.dropping = "";
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) delete document.body.dataset.dropping;
});
const dropped = doing(async ({ dataTransfer: { files } }) => {
  if (!files.length || importing) return;
  open();
  byId("import-file").files = files;
  await choose(files[0]);
});
addEventListener("drop", (event) => {
  delete document.body.dataset.dropping;
  if (hasFile(event)) dropped(event); // and not words that are moved into the box
});
