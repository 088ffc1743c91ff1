// Light or dark: as the browser has it, until somebody chooses.

import { byId } from "/dom.js";
import { keep, kept, tell } from "/state.js";

const root = document.documentElement;

byId("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  keep("all", "theme", root.dataset.theme);
  tell("theme");
});
const theme = kept("all", "theme");
if (theme) root.dataset.theme = theme;
