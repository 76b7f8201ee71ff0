// The API key: requested when the service requires one, kept only in this tab, and never shown again.
import { showProblem } from "./problems.js";

const STORAGE_KEY = "cinemo-api-key";
const dialog = document.querySelector("#key-dialog");
const field = document.querySelector("#key");
const problemElement = document.querySelector("#key-problem");
const forget = document.querySelector("#forget-key");
let pending = null;

export function currentKey() {
  return sessionStorage.getItem(STORAGE_KEY);
}

/** Ask the user for a key; resolves to whether one was entered. Concurrent calls share one dialog. */
export function askForKey(problem) {
  pending ??= new Promise((resolve) => {
    showProblem(problemElement, currentKey() === null ? null : problem);
    field.value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      pending = null;
      resolve(dialog.returnValue === "entered");
    }, { once: true });
    dialog.showModal();
  });
  return pending;
}

function showState() {
  forget.hidden = currentKey() === null;
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(STORAGE_KEY, field.value.trim());
  field.value = "";
  showState();
  dialog.close("entered");
});
document.querySelector("#key-dismiss").addEventListener("click", () => dialog.close());
forget.addEventListener("click", () => {
  sessionStorage.removeItem(STORAGE_KEY);
  // Reload to also remove what was loaded with the key.
  location.assign(location.pathname);
});
showState();
