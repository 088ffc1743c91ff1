// The tabs of a panel: by mouse, and by keys as the ARIA pattern has them.

import { byId } from "/dom.js";
import { on, show, state, tell } from "/state.js";

function tabs(list, kept, prefix) {
  const all = [...byId(list).querySelectorAll("[role=tab]")];
  const panel = (tab) => byId(tab.getAttribute("aria-controls"));
  const name = (tab) => tab.id.slice("tab-".length);

  function choose(tab, { focus = false } = {}) {
    for (const one of all) {
      const chosen = one === tab;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
      panel(one).hidden = !chosen;
    }
    if (focus) tab.focus();
    if (state[kept] !== name(tab)) show({ [kept]: name(tab) });
    tell(`${prefix}:${name(tab)}`);
  }

  const byState = () => choose(all.find((tab) => name(tab) === state[kept]) ?? all[0]);
  for (const [at, tab] of all.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(all[(to + all.length) % all.length], { focus: true });
    });
  }
  on("about", byState);
  on("travelled", byState);
}

tabs("views", "view", "view");
tabs("logs", "log", "log");
