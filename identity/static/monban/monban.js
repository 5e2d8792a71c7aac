// What the end-user pages do beyond plain HTML. Each of them works without it.
"use strict";

// Show and hide a password.
for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  });
  // A password left in clear would be offered by the browser as an ordinary remembered text.
  input.form.addEventListener("submit", () => {
    input.type = "password";
    button.setAttribute("aria-pressed", "false");
  });
}

// Copy and print what is shown once.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const lines = [...document.querySelectorAll(`#${button.dataset.copy} > *`)].map((line) => line.textContent);
    await navigator.clipboard.writeText(lines.join("\n"));
    button.textContent = button.dataset.done;
  });
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// Choose a language by choosing it; the button is for browsers without this script.
for (const form of document.querySelectorAll("form[data-submit-on-change]")) {
  form.querySelector("button").hidden = true;
  form.addEventListener("change", () => form.requestSubmit());
}

// Move the piece of a puzzle with its slider.
for (const slider of document.querySelectorAll("[data-slides]")) {
  const piece = document.getElementById(slider.dataset.slides);
  const move = () => {
    piece.style.left = `${(100 * slider.value) / slider.dataset.width}%`;
  };
  slider.addEventListener("input", move);
  window.addEventListener("pageshow", move);
}

// Send a form once. The buttons stay enabled: a disabled one would not send its name and value.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.getAttribute("aria-busy") === "true") {
    event.preventDefault();
    return;
  }
  form.setAttribute("aria-busy", "true");
  // Whoever stopped a slow answer may try again.
  setTimeout(() => form.removeAttribute("aria-busy"), 8000);
});

// A page that comes back from the browser's history can be sent again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    for (const form of document.querySelectorAll("form[aria-busy]")) {
      form.removeAttribute("aria-busy");
    }
  }
});

// Carry an answer back to the application (response_mode=form_post).
// submit() of the prototype, because a field of the answer may itself be called "submit".
for (const form of document.querySelectorAll("form[data-auto-submit]")) {
  HTMLFormElement.prototype.submit.call(form);
}

// Go on when the frames of the page have loaded, or have had their time.
for (const link of document.querySelectorAll("[data-go-on]")) {
  let gone = false;
  const goOn = () => {
    if (!gone) {
      gone = true;
      location.replace(link.href);
    }
  };
  window.addEventListener("load", goOn);
  setTimeout(goOn, Number(link.dataset.goOn) * 1000);
}

// Look again at a part of the page for as long as it says so. A screen reader hears of what has changed.
const lookAgain = (part) => {
  if (!part?.dataset.refresh) {
    return;
  }
  setTimeout(async () => {
    try {
      const answer = await fetch(part.dataset.refresh, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = answer.ok ? page.getElementById(part.id) : null;
      if (!next) {
        return;
      }
      if (next.innerHTML.replace(/look=\d+/g, "") !== part.innerHTML.replace(/look=\d+/g, "")) {
        part.replaceChildren(...next.childNodes);
      }
      if (next.dataset.refresh) {
        part.dataset.refresh = next.dataset.refresh;
        lookAgain(part);
      }
    } catch {
      // The link on the page still works.
    }
  }, Number(part.dataset.refreshSeconds) * 1000);
};
for (const part of document.querySelectorAll("[data-refresh]")) {
  lookAgain(part);
}
