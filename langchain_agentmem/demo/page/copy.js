// Copies what can be pasted into a shell or into redis-cli, and says so.

import { byId, element } from "/dom.js";

const LONGEST_LINE = 4095; // bytes that redis-cli takes at its prompt
const SHOWN_MS = 2500;

// An argument as redis-cli reads it.
export function quoted(text) {
  if (/^[\w:.,{}@%+*/-]+$/.test(text)) return text;
  return `"${text.replace(/["\\]/g, "\\$&").replace(/[\x00-\x1f\x7f]/g, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, "0")}`)}"`;
}

// Lines as redis-cli takes them: one at its prompt, unless it is too long for that; otherwise in a shell.
export function pasteable(lines) {
  const fits = lines.length === 1 && new TextEncoder().encode(lines[0]).length <= LONGEST_LINE;
  return fits ? lines[0] : `redis-cli <<'EOF'\n${lines.join("\n")}\nEOF`;
}

export async function copy(text, what = text) {
  await write(text);
  const toast = element("div", { class: "toast copied" }, element("span", {}, "Copied: ", element("code", {}, what)));
  byId("toasts").querySelector(".copied")?.remove();
  byId("toasts").append(toast);
  setTimeout(() => toast.remove(), SHOWN_MS);
}

async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const hidden = element("textarea", { class: "hidden", value: text }); // without https, only this works
  document.body.append(hidden);
  hidden.select();
  document.execCommand("copy");
  hidden.remove();
}
