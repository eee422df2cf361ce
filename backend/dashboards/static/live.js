// Keeps an open page current. The server says that something changed; this fetches the
// same page and swaps the regions that differ. Without it the page shows what was true
// when it was loaded.
"use strict";

const stream = document.body.dataset.live;
const announcer = document.getElementById("announcer");
const shown = new Map(); // regions as the server wrote them, before anybody opened a part
const gists = new Map();
const MINUTE = 60000;
const AGAIN = 2000;
let fetching = false;
let again = false;
let events = null;

function busy(region) {
  const at = document.activeElement;
  return region.contains(at) && at.matches("input, textarea, select");
}

function keepOpen(from, to) {
  for (const old of from.querySelectorAll("details[open]")) {
    const place = [...from.querySelectorAll("details")].indexOf(old);
    const same = old.id ? to.querySelector("#" + CSS.escape(old.id)) : to.querySelectorAll("details")[place];
    if (same) same.open = true;
  }
}

function focusPath(region) {
  const at = document.activeElement;
  if (!region.contains(at) || at === region) return null;
  const kind = at.tagName.toLowerCase() + (at.getAttribute("href") ? `[href="${CSS.escape(at.getAttribute("href"))}"]` : "");
  return { kind, place: [...region.querySelectorAll(kind)].indexOf(at) };
}

// What tells one state from another: "3 min ago" becoming "4 min ago" is no news.
function gist(region) {
  const copy = region.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) time.textContent = "";
  return copy.innerHTML;
}

function swap(region, fresh) {
  const source = fresh.outerHTML;
  if (shown.get(region.id) === source || busy(region)) return false;
  const news = gist(fresh) !== gists.get(region.id);
  remember(fresh);
  const focus = focusPath(region);
  keepOpen(region, fresh);
  region.replaceWith(fresh);
  if (focus) fresh.querySelectorAll(focus.kind)[focus.place]?.focus({ preventScroll: true });
  return news;
}

function remember(region) {
  shown.set(region.id, region.outerHTML);
  gists.set(region.id, gist(region));
}

async function refresh() {
  if (fetching || document.hidden) {
    again = true;
    return;
  }
  fetching = true;
  again = false;
  const started = performance.now();
  let rest = 1000;
  try {
    const answer = await fetch(location.href, {
      headers: { "X-Doseloop-Live": "1", Accept: "text/html" },
      credentials: "same-origin",
    });
    if (answer.redirected) location.assign(answer.url);
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const said = [];
    for (const region of document.querySelectorAll("[data-live-region][id]")) {
      const fresh = page.getElementById(region.id);
      if (fresh && swap(region, fresh) && fresh.dataset.announce) said.push(fresh.dataset.announce);
    }
    if (said.length && announcer) announcer.textContent = said.join(" ");
    if (events.readyState === EventSource.OPEN) tell("Live");
    // Rest as long as that took, so that a busy server is asked less.
    rest = Math.min(performance.now() - started, rest);
  } catch {
    tell("Not connected: trying again");
    again = true;
  } finally {
    setTimeout(rested, rest);
  }
}

function rested() {
  fetching = false;
  if (again && !document.hidden) refresh();
}

function tell(text) {
  const place = document.querySelector("[data-live-state]");
  if (place) place.textContent = " · " + text;
}

for (const region of document.querySelectorAll("[data-live-region][id]")) remember(region);

function listen() {
  events = new EventSource(stream);
  events.addEventListener("open", () => tell("Live"));
  events.addEventListener("changed", refresh);
  events.addEventListener("ended", () => location.reload()); // to the sign-in page
  events.addEventListener("error", lost);
}

// A browser connects again by itself after a cut, and never after a refusal.
function lost() {
  tell("Not connected: trying again");
  const refused = events;
  if (refused.readyState !== EventSource.CLOSED) return;
  setTimeout(() => {
    if (events === refused && !document.hidden) listen();
  }, AGAIN);
}

if (stream && "EventSource" in window) {
  listen();
  setInterval(refresh, MINUTE); // "3 min ago" grows old on a page where nothing happens
  document.addEventListener("visibilitychange", () => {
    // A browser opens six connections to a host: pages nobody looks at must not hold one.
    events.close();
    if (document.hidden) return;
    listen();
    refresh();
  });
}
