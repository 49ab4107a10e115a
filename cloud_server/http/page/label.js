// Keys of the labelling view: each presses the button that names it. A label is kept when the next picture comes.
"use strict";
const keys = new Map();
for (const button of document.querySelectorAll("[data-key]")) keys.set(button.dataset.key, button);
let pressed = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || pressed) return;
  const other = document.getElementById("other");
  if (document.activeElement === other) {
    if (event.key === "Escape") other.blur();
    return;
  }
  if (event.key === "/" && other) {
    event.preventDefault();
    other.focus();
    return;
  }
  const button = keys.get(event.key.toLowerCase());
  if (button) {
    event.preventDefault();
    button.click();
  }
});
// One answer a picture: a second press would be for a picture that is not seen yet.
document.addEventListener("submit", (event) => {
  if (pressed) event.preventDefault();
  pressed = true;
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
