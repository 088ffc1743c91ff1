// Says what was done, and offers to undo it: by its button, or by Control Z.

import { doing } from "/acting.js";
import { byId, element } from "/dom.js";
import { post } from "/server.js";
import { state, tell } from "/state.js";

const SHOWN_MS = 20_000;
const MOST = 3;

// Says something that asks for nothing.
export function note(text, ...more) {
  const close = element("button", { type: "button", class: "quiet", "aria-label": "Close" }, "✕");
  const toast = element("div", { class: "toast" }, element("span", { dir: "auto" }, text), ...more, close);
  close.addEventListener("click", () => remove(toast));
  byId("toasts").append(toast);
  while (byId("toasts").children.length > MOST) byId("toasts").firstChild.remove();
  later(toast);
  return toast;
}

// Says what was done, and offers to undo it; `then` is done in the end, if its user is still shown.
export function offerUndo(what, user, undo, then = () => tell("refresh")) {
  const button = element("button", { type: "button", class: "undo", title: "Control Z" }, "Undo");
  const toast = note(what, button);
  button.addEventListener("click", doing(async () => {
    button.disabled = true; // twice would be once too often
    try {
      await post("/undo", { user, undo });
    } catch (error) {
      button.disabled = false;
      throw error;
    }
    remove(toast);
    if (state.user !== user) return;
    tell("memories");
    await then();
  }));
}

// Not while somebody is about to click.
function later(toast) {
  setTimeout(() => (toast.matches(":hover, :focus-within") ? later(toast) : toast.remove()), SHOWN_MS);
}

function remove(toast) {
  const had = toast.contains(document.activeElement);
  toast.remove();
  if (had) byId("say").focus();
}

addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
  if (event.target.matches("input:not([type=range], [type=radio]), textarea, select")) return; // they undo themselves
  const button = [...document.querySelectorAll("#toasts .undo:enabled")].at(-1);
  if (!button || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  button.click();
});
