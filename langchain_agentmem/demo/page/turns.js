// The events of a thread as turns: what was said, and all that happened for it; and what happened between them.

const SAID = "turn_start";
const OF_LONG_TERM = new Set(["recall", "remember", "merge", "replace", "delete", "restore", "keep", "update", "forget", "import"]);
const OF_WORKING = new Set([SAID, "goal", "scratchpad"]);
const AFTER_A_TURN = new Set(["remember", "merge"]); // known only when the events of the exchange are written
const BEGINS = /_start$/;
const ENDS = /_(end|error)$/;

export const isError = (event) => event.action.endsWith("error");
export const tierOf = (action) => (OF_LONG_TERM.has(action) ? "long_term" : OF_WORKING.has(action) ? "working" : "events");

// Events in groups; each is {said, rows, from, until, count, closed}, a row {events, depth}.
export class Turns {
  groups = [];
  #rows = new Map(); // by event id

  // Adds the next event, and returns its group.
  add(event) {
    const last = this.groups.at(-1);
    const group = event.action === SAID || !last || !this.#belongs(event, last) ? this.#begin(event) : last;
    this.#take(event, group);
    return group;
  }

  row(event) {
    return this.#rows.get(event.id);
  }

  // Whether an event goes on with the last group: between turns, one group holds all that happens.
  #belongs(event, group) {
    if (group.said === null) return true;
    if (!group.closed) return true;
    return AFTER_A_TURN.has(event.action) && !group.remembered;
  }

  #begin(event) {
    const said = event.action === SAID ? event.detail : null;
    const group = { id: event.id, said, rows: [], runs: new Map(), from: event.ts, until: event.ts, count: 0, closed: false, remembered: false };
    this.groups.push(group);
    return group;
  }

  #take(event, group) {
    const run = event.run_id ? group.runs.get(event.run_id) : undefined;
    const parent = group.runs.get(event.parent_run_id);
    let row;
    if (run && ENDS.test(event.action) && run.events.length === 1) row = run;
    else {
      row = { events: [], depth: run ? run.depth + 1 : parent ? parent.depth + 1 : 0 };
      group.rows.push(row);
      if (BEGINS.test(event.action) && event.run_id) group.runs.set(event.run_id, row);
    }
    row.events.push(event);
    this.#rows.set(event.id, row);
    group.count++;
    group.from = Math.min(group.from, event.ts);
    group.until = Math.max(group.until, event.ts);
    group.failed ||= isError(event);
    group.remembered ||= AFTER_A_TURN.has(event.action);
    const isRoot = ENDS.test(event.action) && event.run_id && !event.parent_run_id;
    group.closed ||= isRoot || event.action === "turn_error";
  }
}

// What each memory of a recall was, and how near (nothing where all were recalled), as the detail has them; null if it
// does not tell.
export function recalledOf({ action, detail, memory_ids: ids }) {
  if (action !== "recall" || !ids.length) return null;
  const told = detail.split(/; (?=-?\d+\.\d{3} )/).map((one) => /^(-?\d+\.\d{3}) (.*)$/s.exec(one));
  if (told.length <= ids.length && told.every((one) => one !== null)) {
    return told.map(([, number, text], at) => ({ id: ids[at], number, text }));
  }
  const texts = detail.split("; ");
  return texts.length === ids.length ? texts.map((text, at) => ({ id: ids[at], number: "", text })) : null;
}
