// Asks the authenticator for what a form carries in `data-options`, puts the answer into its field
// `credential`, and sends the form. Without this, or without passkeys in the browser, the button stays hidden.
"use strict";
(() => {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const asked = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
    ...(options.excludeCredentials && {
      excludeCredentials: options.excludeCredentials.map((known) => ({ ...known, id: bytes(known.id) })),
    }),
  });

  const FIELDS = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const answer = (credential) => {
    const response = {};
    for (const name of FIELDS) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      clientExtensionResults: {},
      response,
    });
  };

  const say = (form, what) => {
    const alert = form.querySelector("[role=alert]") || document.createElement("p");
    alert.className = "alert";
    alert.setAttribute("role", "alert");
    alert.textContent = what;
    form.prepend(alert);
  };

  const WORDS = {
    InvalidStateError: "This device has a passkey of yours already.",
    NotAllowedError: "No passkey was used. Try again, or choose another way.",
  };

  for (const note of document.querySelectorAll("[data-without-script]")) note.hidden = true;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) {
      say(form, "This browser has no passkeys. Choose another way.");
      continue;
    }
    form.querySelector("button[hidden]").hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const publicKey = asked(JSON.parse(form.dataset.options));
      try {
        const credential = await navigator.credentials[form.dataset.passkey]({ publicKey });
        form.elements.credential.value = answer(credential);
      } catch (error) {
        say(form, WORDS[error.name] || "That did not work. Try again, or choose another way.");
        return;
      }
      form.submit();
    });
  }
})();
