// How the page talks to its server. User and thread travel with every request; only the token is kept.

const KEPT = "agentmem-demo-token";
let token = sessionStorage.getItem(KEPT) ?? "";

export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

export function keepToken(given) {
  token = given;
  sessionStorage.setItem(KEPT, given);
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${encodeToken(token)}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer. Is agentmem demo still running?");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, said.error ?? `The server answered ${answer.status}.`);
}

// A header takes Latin-1 characters only; the server reads the bytes as UTF-8.
function encodeToken(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

export async function get(path, parameters, signal) {
  const answer = await ask(`${path}?${new URLSearchParams(parameters)}`, { signal });
  return answer.json();
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

export async function post(path, body, signal) {
  return (await ask(path, posted(body, { signal }))).json();
}

// An exchange: `onDelta` is given the answer in parts; the result is what happened.
export async function exchange(body, onDelta) {
  const answer = await ask("/exchange", posted(body, { headers: { Accept: "text/event-stream" } }));
  for await (const { name, data } of events(answer)) {
    if (name === "delta") onDelta(data.text);
    else if (name === "error") throw new Refused(data.status ?? 500, data.error);
    else if (name === "exchange") return data;
  }
  throw new Refused(0, "The answer broke off. Is agentmem demo still running?");
}

// The events of a user's thread, for as long as the signal allows; after an interruption it goes on behind the last one.
export async function follow(asked, lastId, { onEvent, onState, signal }) {
  while (!signal.aborted) {
    try {
      const headers = lastId ? { "Last-Event-ID": lastId } : {};
      const answer = await ask(`/events?${new URLSearchParams(asked)}`, { headers, signal });
      onState(true);
      for await (const { name, data, id } of events(answer)) {
        if (name !== "event") continue;
        lastId = id;
        onEvent(data);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refused) && !(error instanceof TypeError)) throw error;
      if (error.status === 401) return onState(false);
    }
    if (!signal.aborted) onState(false);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
        const event = parsed(text.slice(0, end));
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
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
