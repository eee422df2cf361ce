// Lets a patient's browser show reminders, and end that again. A browser that cannot is
// offered nothing.
"use strict";

const panel = document.getElementById("push");
const button = panel.querySelector("button");
const said = panel.querySelector("[role=status]");
const ADDRESS = "/v1/push-subscriptions";

function octets(base64url) {
  const base64 = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
}

async function tell(method, subscription) {
  const answer = await fetch(ADDRESS, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(subscription),
  });
  if (!answer.ok) throw new Error(String(answer.status));
}

function show(subscription, words) {
  button.textContent = subscription ? "Stop on this device" : "Show reminders on this device";
  button.setAttribute("aria-pressed", String(Boolean(subscription)));
  said.textContent = words ?? (subscription ? "This device shows reminders." : "");
}

async function begin(registration, key) {
  if ((await Notification.requestPermission()) !== "granted") {
    return show(null, "The browser was not allowed to show them: see its settings for this page.");
  }
  const subscription = await registration.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: octets(key),
  });
  try {
    await tell("POST", subscription);
  } catch (error) {
    await subscription.unsubscribe(); // the browser must not believe what we do not know
    throw error;
  }
  show(subscription);
}

async function end(subscription) {
  await tell("DELETE", subscription);
  await subscription.unsubscribe();
  show(null, "This device shows no more reminders.");
}

async function offer() {
  if (!("serviceWorker" in navigator && "PushManager" in window)) return;
  const registration = await navigator.serviceWorker.register("/push-worker.js");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const subscription = await registration.pushManager.getSubscription();
      await (subscription ? end(subscription) : begin(registration, panel.dataset.key));
    } catch {
      said.textContent = "That did not work. Please try again later.";
    } finally {
      button.disabled = false;
    }
  });
  show(await registration.pushManager.getSubscription());
  panel.hidden = false;
}

offer();
