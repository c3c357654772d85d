// What the pages do beside htmx. Everything works without it; it shows times in the reader's zone, copies, asks
// before what cannot be undone, and keeps the choices of theme and zone in this browser.
"use strict";

(() => {
  const choices = {
    get: (name) => { try { return localStorage.getItem(`trackly.${name}`); } catch { return null; } },
    set: (name, value) => { try { localStorage.setItem(`trackly.${name}`, value); } catch { /* private windows */ } },
  };

  const theme = choices.get("theme");
  if (theme) document.documentElement.dataset.theme = theme;

  const zone = () => (choices.get("zone") === "utc" ? "UTC" : undefined);
  const tellZone = () => { document.documentElement.dataset.zone = zone() ?? ""; };
  tellZone();

  function relative(at) {
    const seconds = Math.round((at - Date.now()) / 1000);
    const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
    for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
      if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
    }
    return format.format(seconds, "second");
  }

  function showTimes(root) {
    const format = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone(), year: "numeric", month: "short", day: "2-digit",
      hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
    });
    for (const each of root.querySelectorAll("time[datetime]")) {
      const at = new Date(each.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      each.textContent = format.format(at);
      each.title = `${relative(at)} · ${each.dateTime}`;
    }
    for (const each of root.querySelectorAll("[data-zone-name]")) {
      each.textContent = zone() ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    }
  }

  function say(text) {
    const status = document.getElementById("status");
    if (status) status.textContent = text;
  }

  // A page that frames a customer's link has asked for it; elsewhere the button is there for a person.
  if (window.self !== window.top) document.querySelector("form[data-open-when-framed]")?.requestSubmit();

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy !== undefined) {
      await navigator.clipboard.writeText(button.dataset.copy);
      const before = button.textContent;
      button.textContent = "Copied";
      say("Copied");
      setTimeout(() => { button.textContent = before; }, 1500);
    } else if (button.dataset.act === "zone") {
      choices.set("zone", zone() ? "local" : "utc");
      tellZone();
      showTimes(document);
    } else if (button.dataset.act === "theme") {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      choices.set("theme", root.dataset.theme);
    } else if (button.dataset.act === "print") {
      print();
    } else if (button.dataset.act === "live") {
      const paused = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!paused));
      document.body.dataset.live = paused ? "on" : "off";
    }
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  }, true);

  // Live parts stand still while the reader has paused them, or looks elsewhere.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const isLive = event.detail.elt.dataset.live !== undefined;
    if (isLive && (document.body.dataset.live === "off" || document.hidden)) event.preventDefault();
  });
  document.addEventListener("htmx:afterSettle", (event) => showTimes(event.detail.elt));
  // The account of the pages is chosen without a second click where scripts run.
  document.addEventListener("change", (event) => {
    if (event.target.dataset.act === "go") event.target.form.submit();
  });

  document.addEventListener("DOMContentLoaded", () => {
    showTimes(document);
    for (const each of document.querySelectorAll("[data-needs-script]")) each.hidden = false;
    const wide = matchMedia("(min-width: 48rem)");
    const open = () => { const menu = document.getElementById("menu"); if (menu) menu.open = wide.matches; };
    wide.addEventListener("change", open);
    open();
  });
})();
