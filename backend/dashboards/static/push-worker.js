// Runs in a patient's browser, also while no page is open: shows what is pushed.
"use strict";

self.addEventListener("push", (event) => {
  const { title, body, lang, tag } = event.data.json();
  event.waitUntil(self.registration.showNotification(title, { body, lang, tag }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.openWindow("/"));
});
