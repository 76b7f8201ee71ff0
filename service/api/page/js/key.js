// The API key: requested when the service requires one, kept only in this tab, and never shown again.
import { showProblem } from "./problems.js";

const NAME = "cinemo-api-key";
const dialog = document.querySelector("#key-dialog");
const field = document.querySelector("#key");
const problemPlace = document.querySelector("#key-problem");
const forget = document.querySelector("#forget-key");
let asking = null;

export function currentKey() {
  return sessionStorage.getItem(NAME);
}

/** Ask the user for a key; resolves to whether one was entered. Concurrent calls share one dialog. */
export function askForKey(problem) {
  asking ??= new Promise((resolve) => {
    showProblem(problemPlace, currentKey() === null ? null : problem);
    field.value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      asking = null;
      resolve(dialog.returnValue === "given");
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

function showState() {
  forget.hidden = currentKey() === null;
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(NAME, field.value.trim());
  field.value = "";
  showState();
  dialog.close("given");
});
document.querySelector("#key-dismiss").addEventListener("click", () => dialog.close());
forget.addEventListener("click", () => {
  sessionStorage.removeItem(NAME);
  // Reload to also remove what was loaded with the key.
  location.assign(location.pathname);
});
showState();
