// What is in the box and not sent outlives a reload, and so does what it would be remembered as.

import { byId } from "/dom.js";
import { keep, kept, on } from "/state.js";

const kind = () => document.querySelector("#kinds input:checked");

function save() {
  keep("tab", "draft", JSON.stringify({ text: byId("say").value, kind: kind()?.value }));
}

on("about", () => {
  const { text, kind: value } = JSON.parse(kept("tab", "draft") ?? "{}");
  if (text) byId("say").value = text;
  for (const one of document.querySelectorAll("#kinds input")) if (one.value === value) one.checked = true;
});
on("exchange", save);
byId("exchange").addEventListener("input", save);
addEventListener("pagehide", save);
