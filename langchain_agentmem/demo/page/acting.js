// Runs what a click or a key asks for; what fails is shown, and forgotten with the next success.

import { lost } from "/away.js";
import { byId } from "/dom.js";
import { isAway, Refused } from "/server.js";
import { on } from "/state.js";

let askedForToken = () => {};

// Shows what went wrong. While the server is away, its banner says so; what somebody asked for and did not get is told
// if nobody was away after all.
export async function problem(error, { asked = false } = {}) {
  if (error.name === "AbortError") return;
  if (error.status === 401) return askedForToken();
  if (isAway(error)) {
    if (!(await lost(error)) || !asked) return;
    return said(error.status === 0 ? "That did not get through. The server answers again: try once more." : error.message);
  }
  said(error.message);
  if (!(error instanceof Refused)) console.error(error);
}

function said(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = false;
}

const forget = () => {
  byId("problem").hidden = true;
};
on("back", forget);
on("settled", forget);

export function doing(work) {
  return async (given) => {
    const asked = given instanceof Event; // and not something that was told
    if (asked) given.preventDefault();
    try {
      await work(given);
      if (asked) forget();
    } catch (error) {
      problem(error, { asked });
    }
  };
}

export function onToken() {
  askedForToken = () => {
    if (!byId("ask-token").open) byId("ask-token").showModal();
  };
}
