// Puts a fresh copy of the page in place of what is shown, so that neither scroll nor selection go.
"use strict";
const INTERVAL = 5000;
const alive = document.getElementById("alive");

async function renew() {
  try {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(INTERVAL) });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = fresh.querySelector("main");
    if (!main) throw new Error("no page");
    if (main.innerHTML !== document.querySelector("main").innerHTML && !getSelection().toString()) {
      document.querySelector("main").replaceWith(main);
    }
    document.title = fresh.title;
    alive.textContent = `as of ${new Date().toLocaleTimeString()}`;
    alive.className = "soft";
  } catch (error) {
    alive.textContent = `no answer since ${alive.dataset.since ||= new Date().toLocaleTimeString()}`;
    alive.className = "badge fault";
    setTimeout(renew, INTERVAL);
    return;
  }
  delete alive.dataset.since;
  setTimeout(renew, INTERVAL);
}

setTimeout(renew, INTERVAL);
