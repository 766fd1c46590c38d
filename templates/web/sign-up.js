/* The sign-up form of this newsletter on any page, and the proof of work where one is asked for.
   Two ways to use it, both described in docs/sign-up-form.md:
   - <script src=".../embed/sign-up.js" data-form async></script> puts a form after itself;
   - without data-form it helps plain forms that post to our /subscribe, and changes nothing else.
   No cookies, nothing stored, nothing asked of anybody but the site the script came from. */
(() => {
  "use strict";
  const script = document.currentScript;
  const base = script.src.replace(/\/embed\/sign-up\.js.*$/, "");
  const api = base + "/api/v1/sign-up";
  const wording = {{ wording|tojson }};
  const now = () => performance.now();
  const until = (at) => new Promise((go) => setTimeout(go, Math.max(0, at - now())));

  const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");

  /* ALTCHA v1: the number whose SHA-256 behind the salt is the challenge. */
  async function solve(posed) {
    if (!posed || !globalThis.crypto?.subtle) return "";
    const text = new TextEncoder();
    for (let number = 0; number <= posed.maxnumber; number++) {
      const found = await crypto.subtle.digest(posed.algorithm, text.encode(posed.salt + number));
      if (hex(found) === posed.challenge) {
        const { algorithm, challenge, salt, signature } = posed;
        return btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
      }
    }
    return "";
  }

  /* What a sign-up carries: asked for once somebody begins to type, not by every visit of a page. */
  async function begin() {
    const answer = await fetch(api, { credentials: "omit", referrerPolicy: "no-referrer" });
    if (!answer.ok) throw new Error("not available");
    const begun = await answer.json();
    const ready = now() + begun.wait_s * 1000 + 100;
    return { ...begun, ready, solved: solve(begun.altcha) };
  }

  function beginner() {
    let begun = null;
    const once = () => (begun ??= begin().catch((error) => { begun = null; throw error; }));
    once.again = () => { begun = null; };
    return once;
  }

  /* Plain forms: the work is done when the button is pressed, then they post as they would have. */
  function help(form) {
    const once = beginner();
    const ours = [];
    let busy = false;
    const put = (name, value) => {
      const field = Object.assign(document.createElement("input"), { type: "hidden", name, value });
      form.append(field);
      ours.push(field);
    };
    form.addEventListener("focusin", () => { once().catch(() => {}); });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true;
      try {
        const begun = await once();
        const solved = await begun.solved;
        if (solved) put("altcha", solved);
        if (!form.elements.namedItem("shown")) {
          await until(begun.ready);
          put("shown", begun.shown);
        }
      } catch { /* then it posts as a page without scripts does */ }
      HTMLFormElement.prototype.submit.call(form);
    });
    /* Who comes back to the page with the browser's button finds it as it was. */
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      for (const field of ours.splice(0)) field.remove();
      once.again();
      busy = false;
    });
  }

  /* System colours follow the page: dark where the page says that it can be dark. */
  const STYLE = `
    :host { display: block; font: inherit; max-width: 34rem; }
    p { margin: 0 0 .6rem; }
    label { display: block; font-weight: 700; margin-bottom: .35rem; }
    .line { display: flex; flex-wrap: wrap; gap: .6rem; }
    input { flex: 1 1 14rem; min-width: 0; }
    input, button { box-sizing: border-box; min-height: 48px; padding: .5rem .9rem; font: inherit;
      border: 2px solid currentcolor; border-radius: 0; }
    input { color: FieldText; background: Field; }
    button { color: Canvas; background: CanvasText; border-color: CanvasText; font-weight: 700; cursor: pointer; }
    :focus-visible { outline: 3px solid Highlight; outline-offset: 3px; }
    [role=status] { margin: .6rem 0 0; font-weight: 700; }
    [role=status]:empty { display: none; }
    .small { margin: .6rem 0 0; font-size: .875em; }
    .trap { position: absolute; left: -999rem; }`;

  const MARKUP = `
    <form>
      <label for="email">Your e-mail address</label>
      <div class="line">
        <input id="email" name="email" type="email" autocomplete="email" maxlength="320" required>
        <button type="submit">Sign up</button>
      </div>
      <p class="trap" aria-hidden="true"><label for="website">Leave this empty</label>
        <input id="website" name="website" tabindex="-1" autocomplete="off"></p>
      <p role="status"></p>
      <p class="small"></p>
    </form>`;

  const SAID = {
    wait: "One moment\u2026",
    check_inbox: "Check your inbox. If that address can get our mail, one from us is on its way. "
      + "Press the button behind its link, and you are on the list.",
    again: "Please press the button once more.",
    broken: "That did not come through. Please try again in a few minutes.",
  };

  function place() {
    const host = document.createElement("div");
    host.dataset.signUp = "";
    const root = host.attachShadow({ mode: "open" });
    root.innerHTML = MARKUP;
    const sheet = new CSSStyleSheet(); /* a style element would need the page's policy to allow it */
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    script.after(host);
    const form = root.querySelector("form");
    const status = root.querySelector("[role=status]");
    const email = form.elements.email;
    const once = beginner();
    root.querySelector(".small").textContent = wording;
    form.addEventListener("focusin", () => { once().catch(() => {}); });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (form.ariaBusy === "true") return;
      form.ariaBusy = "true";
      status.textContent = SAID.wait;
      email.removeAttribute("aria-invalid");
      try {
        status.textContent = await send(form, await once(), email);
      } catch {
        status.textContent = SAID.broken;
      }
      form.ariaBusy = "false";
      once.again();
    });
  }

  async function send(form, begun, email) {
    const altcha = await begun.solved;
    await until(begun.ready);
    const answer = await fetch(api, {
      method: "POST",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        email: email.value, website: form.elements.website.value, shown: begun.shown, altcha,
      }),
    });
    const said = await answer.json();
    if (answer.status === 422) {
      email.setAttribute("aria-invalid", "true");
      email.focus();
      return `${said.error} ${said.hint}`;
    }
    return SAID[said.status] ?? SAID.broken;
  }

  if ("form" in script.dataset) {
    place();
  } else {
    const target = base + "/subscribe";
    const all = () => Array.from(document.forms)
      .filter((form) => new URL(form.getAttribute("action") ?? "", location.href).href === target)
      .forEach(help);
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", all);
    else all();
  }
})();
