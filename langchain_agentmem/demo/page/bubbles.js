// The messages of the window, as text; of Markdown, only code is told from the rest.

import { dated, element } from "/dom.js";

export function bubble({ role, content, ts, unanswered }) {
  const made = element("li", { class: role === "user" ? "user" : "other" });
  const by = element("span", { class: "hidden", dir: "ltr" }, role === "user" ? "You: " : `${role}: `);
  made.append(by, element("div", { class: "said", dir: "auto" }, ...formatted(content)));
  const when = dated(ts);
  if (when) {
    made.title = when.toLocaleString();
    made.append(element("time", { dateTime: when.toISOString() }, when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })));
  }
  if (unanswered) made.append(element("span", { class: "unanswered" }, "unanswered"));
  return made;
}

// An answer on its way: dots, and then what has come of it.
export function waitingBubble() {
  const made = bubble({ role: "assistant", content: "" });
  made.classList.add("waiting");
  const said = made.querySelector(".said");
  const dots = element("span", { class: "dots", role: "img", "aria-label": "Waiting for the answer" }, "…");
  said.append(dots);
  let text = "";
  const add = (part) => {
    text += part;
    said.replaceChildren(...(text ? formatted(text) : [dots]));
  };
  return { made, add };
}

function formatted(text) {
  return text.split(/(```[^\n]*\n[\s\S]*?(?:```|$))/).filter(Boolean).flatMap((part) => {
    const block = /^```[^\n]*\n([\s\S]*?)\n?(?:```)?$/.exec(part);
    return block ? [element("pre", { dir: "ltr", tabIndex: 0 }, element("code", {}, block[1]))] : inline(part);
  });
}

function inline(text) {
  return text.split(/(`[^`\n]+`)/).filter(Boolean).map((part) => (/^`[^`]+`$/.test(part) ? element("code", { dir: "ltr" }, part.slice(1, -1)) : part));
}
