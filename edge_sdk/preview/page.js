// Keeps the page's parts as the device tells them, and lets go of the live picture while nobody sees it.
"use strict";
const EVERY_MS = 3000;
const live = document.getElementById("live");
let lost = false;
let timer = 0;

const look = () => { live.src = "/live?" + Date.now(); };

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
  try {
    const reply = await fetch("/now", { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (reply.status === 401) { location.reload(); return; }
    if (!reply.ok) throw new Error(reply.status);
    takeOver(await reply.text());
    if (lost) look();
    lost = false;
  } catch {
    lost = true;
    document.getElementById("state").textContent = "The device does not answer";
  }
  document.body.classList.toggle("lost", lost);
  timer = setTimeout(ask, EVERY_MS);
}

live.addEventListener("error", () => setTimeout(() => { if (!document.hidden && !lost) look(); }, EVERY_MS));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { live.src = "/icon.svg"; } else { look(); ask(); }
});
timer = setTimeout(ask, EVERY_MS);
