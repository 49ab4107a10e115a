// Keeps the page's parts as the device tells them, and lets go of the live picture while nobody sees it.
"use strict";
const EVERY_MS = 3000;
const me = Math.random().toString(36).slice(2);
const live = document.getElementById("live");
let timer = 0;

const look = () => { live.src = `/live?viewer=${me}&at=${Date.now()}`; };

function takeOver(text) {
  const told = new DOMParser().parseFromString(text, "text/html");
  for (const fresh of told.querySelectorAll("[id]")) {
    const old = document.getElementById(fresh.id);
    if (old && old.outerHTML !== fresh.outerHTML) old.replaceWith(document.adoptNode(fresh));
  }
}

async function ask() {
  clearTimeout(timer);
  if (document.hidden) return;
  let lost = false;
  try {
    const reply = await fetch(`/now?viewer=${me}`, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (reply.status === 401) { location.reload(); return; }
    if (!reply.ok) throw new Error(reply.status);
    takeOver(await reply.text());
    // A stream that was cut (a slow network, a restart, too many viewers) tells the page nothing; the device does.
    if (document.getElementById("state").dataset.looking === "no") look();
  } catch {
    lost = true;
    document.getElementById("state").textContent = "The device does not answer";
  }
  document.body.classList.toggle("lost", lost);
  clearTimeout(timer);
  timer = setTimeout(ask, EVERY_MS);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) { live.removeAttribute("src"); } else { look(); ask(); }
});
look();
timer = setTimeout(ask, EVERY_MS);
