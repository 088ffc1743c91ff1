// When the server is away, or its Redis: one banner, which says since when, until it is back.

import { byId } from "/dom.js";
import { get, giveUp, isAway } from "/server.js";
import { here, on, tell } from "/state.js";

const PAUSES = [1, 1, 2, 3, 5, 8]; // seconds between two attempts
const SHOWN_AFTER_MS = 400; // a connection may break without anybody being away

let away = null;

// Returns, once the server answers again, whether it did so before anybody was told.
export function lost(error) {
  if (!away) {
    away = { since: new Date(), error, told: false, next: null, now: () => {} };
    away.banner = setTimeout(show, SHOWN_AFTER_MS);
    away.back = untilBack(away);
  }
  return away.back;
}

async function untilBack(current) {
  let tries = 0;
  for (; ; tries++) {
    try {
      await get("/state", here());
      break;
    } catch (error) {
      if (!isAway(error)) break; // it answers, whatever it says
      current.error = error;
      if (tries === 0) giveUp();
    }
    const pause = PAUSES[Math.min(tries, PAUSES.length - 1)] * 1000;
    current.next = Date.now() + pause;
    show();
    await new Promise((resolve) => {
      current.now = resolve;
      setTimeout(resolve, pause);
    });
    current.next = null;
    showNext();
  }
  clearTimeout(current.banner);
  away = null;
  byId("away").hidden = true;
  tell("back");
  return !current.told;
}

function show() {
  const { since, error } = away;
  away.told = true;
  const what = error.status === 503 ? "The server has lost its Redis" : "The server does not answer";
  const said = `${what}, since ${since.toLocaleTimeString([], { hour12: false })}. What you wrote stays here.`;
  if (byId("away-what").textContent !== said) byId("away-what").textContent = said; // it is read out once
  byId("away-why").textContent = error.status === 503 ? error.message : "Is agentmem demo still running?";
  byId("away").hidden = false;
  showNext();
}

function showNext() {
  if (!away) return;
  const seconds = away.next === null ? 0 : Math.ceil((away.next - Date.now()) / 1000);
  byId("away-next").textContent = seconds > 0 ? `Trying again in ${seconds} s` : "Trying again …";
}

const now = () => away?.now();
byId("away-now").addEventListener("click", now);
addEventListener("online", now);
on("answered", now); // something got through
on("tick", showNext);
