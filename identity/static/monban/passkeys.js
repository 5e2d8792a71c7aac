// Passkeys (WebAuthn). Without this script, or in a browser without passkeys, every page works by its other means.
"use strict";

(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) {
    return;
  }

  const toBytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
  const toText = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
  const withIds = (credentials) => (credentials ?? []).map((each) => ({ ...each, id: toBytes(each.id) }));

  // Older browsers have neither parseCreationOptionsFromJSON nor toJSON.
  const creationOptions = (options) => ({
    ...options,
    challenge: toBytes(options.challenge),
    user: { ...options.user, id: toBytes(options.user.id) },
    excludeCredentials: withIds(options.excludeCredentials),
  });
  const requestOptions = (options) => ({
    ...options,
    challenge: toBytes(options.challenge),
    allowCredentials: withIds(options.allowCredentials),
  });
  const asJSON = (credential) => {
    const answer = credential.response;
    const response = { clientDataJSON: toText(answer.clientDataJSON) };
    if (answer.attestationObject) {
      response.attestationObject = toText(answer.attestationObject);
      response.transports = answer.getTransports?.() ?? [];
    } else {
      response.authenticatorData = toText(answer.authenticatorData);
      response.signature = toText(answer.signature);
      response.userHandle = answer.userHandle ? toText(answer.userHandle) : "";
    }
    const properties = credential.getClientExtensionResults().credProps;
    return JSON.stringify({
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      clientExtensionResults: properties ? { credProps: properties } : {},
      response,
    });
  };

  const send = (form, credential) => {
    form.elements.credential.value = asJSON(credential);
    // submit() of the prototype asks for no field that a passkey makes unnecessary.
    HTMLFormElement.prototype.submit.call(form);
  };

  // A button beside or in place of the fields of a form. What the person breaks off is no error.
  const onPress = (form, work) => {
    const button = form.querySelector("[data-passkey-button]");
    for (const text of form.parentElement.querySelectorAll("[data-without-passkeys]")) {
      text.hidden = true;
    }
    button.hidden = false;
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      const failed = form.querySelector("[data-passkey-failed]");
      failed.hidden = true;
      try {
        const credential = await work();
        if (credential) {
          send(form, credential);
        }
      } catch {
        failed.hidden = false;
      }
    });
  };

  // Add a passkey.
  for (const form of document.querySelectorAll("form[data-passkey-create]")) {
    const options = JSON.parse(form.dataset.passkeyCreate);
    onPress(form, () => navigator.credentials.create({ publicKey: creationOptions(options) }));
  }

  // Prove one of the person's own passkeys.
  for (const form of document.querySelectorAll("form[data-passkey-get]")) {
    const options = JSON.parse(form.dataset.passkeyGet);
    onPress(form, () => navigator.credentials.get({ publicKey: requestOptions(options) }));
  }

  // Sign in without a name: offered with the names that the browser fills in, and by a button.
  for (const form of document.querySelectorAll("form[data-passkey-options]")) {
    let waiting = null;
    const ask = async () => {
      const body = new FormData();
      for (const name of ["csrfmiddlewaretoken", "transaction"]) {
        body.append(name, form.elements[name].value);
      }
      const answer = await fetch(form.dataset.passkeyOptions, { method: "POST", body });
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      return requestOptions(await answer.json());
    };
    onPress(form, async () => {
      // A browser asks for one passkey at a time.
      waiting?.abort();
      waiting = null;
      return navigator.credentials.get({ publicKey: await ask() });
    });
    const offer = async () => {
      if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) {
        return;
      }
      waiting = new AbortController();
      const { signal } = waiting;
      const publicKey = await ask();
      const credential = await navigator.credentials.get({ publicKey, mediation: "conditional", signal });
      if (credential) {
        send(form, credential);
      }
    };
    offer().catch(() => {}); // broken off, or refused: the button and the password are still there
  }

  // Tell password managers which passkeys are good here, so that the others vanish from them.
  for (const part of document.querySelectorAll("[data-passkey-signals]")) {
    const { rpId, userId, ids, name, displayName, unknown } = JSON.parse(part.dataset.passkeySignals);
    const quietly = (promise) => promise?.catch(() => {});
    if (unknown) {
      quietly(PublicKeyCredential.signalUnknownCredential?.({ rpId, credentialId: unknown }));
    } else {
      quietly(PublicKeyCredential.signalAllAcceptedCredentials?.({ rpId, userId, allAcceptedCredentialIds: ids }));
      quietly(PublicKeyCredential.signalCurrentUserDetails?.({ rpId, userId, name, displayName }));
    }
  }
})();
