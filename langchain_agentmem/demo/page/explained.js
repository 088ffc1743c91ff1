// What each command of an exchange is for, in a few words.

import { span } from "/dom.js";

const READING = /^(H?GET|H?MGET|HGETALL|EXISTS|TYPE|P?TTL|LRANGE|LLEN|X(REV)?RANGE|XLEN|XREAD|Z(REV)?RANGE|ZSCORE|SCAN|JSON\.M?GET|FT\.(SEARCH|INFO|_LIST|HYBRID)|EVALSHA_RO)$/;

const SCRIPTS = {
  note_thread: () => "note that the user has this thread",
  write_session: writeSession,
  push_messages: () => "append the messages to the list, trim it, renew the TTL",
  record_events: ({ reply }) => `XADD ${/^\d+/.exec(reply)?.[0] ?? "the"} events to the stream, trim it`,
  remember: () => "store the memory, unless the same is known: then count it as seen",
  remember_near: () => "store the memory, unless nearly the same is known: then count it as seen",
  store: () => "store the memory",
  supersede: () => "keep the old memory, linked to the new one, where no search finds it",
  renew: () => "count the memory as seen, renew its TTL",
  point: () => "let another wording lead to the same memory",
  enqueue: () => "queue a task for the background, and signal it to the workers",
  take_off: () => "take tasks that are done off their queue",
  update: () => "change the memory in place",
  retag: () => "write the memory’s scope as the index has it",
  forget: () => "delete the memory, if it is the user’s",
};

const COMMANDS = [
  [/^HM?GET .*recent_turns/, "the window: the last messages, and whose they are"],
  [/^HGET \S+ user$/, "whose session it is"],
  [/^(HGETALL|HMGET)/, "the session"],
  [/^LRANGE/, "the last messages"],
  [/^EXISTS \S+:filling$/, "whether the index is complete"],
  [/^FT\.SEARCH.* LIMIT 0 0 /, "how many memories there are, now and then"],
  [/^FT\.SEARCH.*@kind:\{profile\}\)=>\[KNN\b/, "the profile: memories that are always given"],
  [/^FT\.SEARCH.*\bKNN\b/, "the memories nearest in meaning"],
  [/^FT\.HYBRID/, "the memories nearest in meaning, and by words"],
  [/^FT\.SEARCH/, "the memories that share words"],
  [/^JSON\.M?GET/, "the memories found"],
  [/^FT\.(INFO|_LIST)/, "whether there is an index"],
  [/^FT\.CREATE/, "create the index, once"],
  [/^FT\.ALTER/, "add a field to the index, once"],
  [/^XADD/, "append an event to the stream"],
  [/^X(REV)?RANGE/, "the events"],
  [/^(P?EXPIRE|PERSIST)/, "renew the TTL"],
  [/^P?TTL/, "when it expires"],
];

// "append 2 messages, trim to 20, renew the TTL of 1 h", as far as the call says so.
function writeSession({ text }) {
  const given = /^EVALSHA \w+ 1 \S+ [\d.]+ (\d+) (\d+) (\d+) /.exec(text);
  if (!given) return "append the messages, trim the window, renew the TTL";
  const [ttl, kept, appended] = given.slice(1).map(Number);
  return [
    appended ? `append ${appended} ${appended === 1 ? "message" : "messages"}` : "set fields",
    ...(kept ? [`trim to ${kept}`] : []),
    ...(ttl ? [`renew the TTL of ${span(ttl)}`] : []),
  ].join(", ");
}

export function purpose(command) {
  if (command.script) return SCRIPTS[command.script]?.(command) ?? "";
  return COMMANDS.find(([pattern]) => pattern.test(command.text))?.[1] ?? "";
}

export const reads = (trip) => trip.commands.every(({ name }) => READING.test(name));
