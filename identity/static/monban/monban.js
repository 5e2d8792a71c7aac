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

// Choose a language by choosing it; the button is for browsers without this script.
for (const form of document.querySelectorAll("form[data-submit-on-change]")) {
  form.querySelector("button").hidden = true;
  form.addEventListener("change", () => form.requestSubmit());
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
