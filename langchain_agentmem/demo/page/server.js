// How the page talks to its server. User and thread travel with every request; only the token is kept.

import { keep, kept, tell } from "/state.js";

const ANSWER_MS = 15_000; // longer than Redis is tried
const LONG_MS = 600_000;
const LONG = new Set(["/answers", "/import", "/map", "/reset", "/undo"]); // take as long as there is much of it
const SILENCE_MS = 7_000; // a stream says something every two seconds

let token = kept("tab", "token") ?? "";
let waiting = new AbortController(); // for every answer

export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

// What is the matter is that the server does not answer, or that it has no Redis.
export const isAway = (error) => error instanceof Refused && (error.status === 0 || error.status === 503);

const noAnswer = () => new Refused(0, "The server does not answer.");

export function keepToken(given) {
  token = given;
  keep("tab", "token", given);
}

// Stops waiting for answers that will not come.
export function giveUp() {
  waiting.abort();
  waiting = new AbortController();
}

async function ask(path, { signal, ...options } = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${encodeToken(token)}`;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), LONG.has(path.split("?")[0]) ? LONG_MS : ANSWER_MS);
  let answer;
  try {
    const ends = [late.signal, waiting.signal, signal].filter(Boolean);
    answer = await fetch(path, { ...options, headers, signal: AbortSignal.any(ends) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw noAnswer();
  } finally {
    clearTimeout(timer);
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, said.error ?? `The server answered ${answer.status}.`);
}

// A header takes Latin-1 characters only; the server reads the bytes as UTF-8.
function encodeToken(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

async function answered(path, options) {
  const answer = await ask(path, options);
  try {
    const read = await answer.json();
    tell("answered");
    return read;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw noAnswer(); // it broke off
  }
}

export function get(path, parameters, signal) {
  return answered(`${path}?${new URLSearchParams(parameters)}`, { signal });
}

function posted(body, more = {}) {
  const { headers, ...options } = more;
  return {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", ...headers },
    ...options,
  };
}

export function post(path, body, signal) {
  return answered(path, posted(body, { signal }));
}

// An exchange: `onDelta` is given the answer in parts; the result is what happened.
export async function exchange(body, onDelta) {
  const answer = await ask("/exchange", posted(body, { headers: { Accept: "text/event-stream" } }));
  for await (const { name, data } of events(answer)) {
    if (name === "delta") onDelta(data.text);
    else if (name === "exchange") return data;
  }
  throw noAnswer();
}

// Imports a file; yields what is told of it: `began`, `progress`, `report`.
export async function* imported(file, asked, signal) {
  const headers = { "Content-Type": "application/octet-stream" };
  const answer = await ask(`/import?${new URLSearchParams(asked)}`, { method: "POST", body: file, headers, signal });
  yield* events(answer, signal);
}

// The events of a user's thread, and what changes for the user, for as long as the signal allows; after an interruption
// it goes on behind the last event. `onLost` says when the server can be asked again. A page that nobody sees does not
// listen: a browser opens six connections to a server, whatever the number of its pages.
export async function follow(asked, lastId, { onEvent, onChanged, onState, onLost, signal }) {
  let failures = 0;
  while (!signal.aborted) {
    await seen();
    const hidden = whenHidden();
    try {
      const headers = lastId ? { "Last-Event-ID": lastId } : {};
      const ends = AbortSignal.any([signal, hidden.signal]);
      const answer = await ask(`/events?${new URLSearchParams(asked)}`, { headers, signal: ends });
      onState(true);
      for await (const { name, data, id } of events(answer, ends)) {
        failures = 0;
        if (name === "changed") onChanged(data.what);
        if (name !== "event") continue;
        lastId = id;
        onEvent(data);
      }
      throw noAnswer(); // a server that is about to end ends the stream
    } catch (error) {
      if (signal.aborted) return;
      onState(false);
      if (hidden.signal.aborted) continue;
      if (!isAway(error)) throw error;
      if (failures++) await new Promise((resolve) => setTimeout(resolve, 1000));
      await onLost(error);
    } finally {
      hidden.stop();
    }
  }
}

async function seen() {
  while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

function whenHidden() {
  const ended = new AbortController();
  const look = () => document.hidden && ended.abort();
  document.addEventListener("visibilitychange", look);
  return { signal: ended.signal, stop: () => document.removeEventListener("visibilitychange", look) };
}

// Yields the events of a stream, except the one that says that it failed, which is thrown; so is a stream that breaks
// off or goes silent.
async function* events(answer, signal) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await unlessSilent(reader, signal);
      if (done) return;
      text += value;
      for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
        const event = parsed(text.slice(0, end));
        if (event?.name === "error") throw new Refused(event.data.status ?? 503, event.data.error);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function unlessSilent(reader, signal) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(noAnswer()), SILENCE_MS);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch (error) {
    if (signal?.aborted || error instanceof Refused) throw error;
    throw noAnswer();
  } finally {
    clearTimeout(timer);
  }
}

function parsed(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return fields.data ? { name: fields.event, id: fields.id, data: JSON.parse(fields.data) } : null;
}
